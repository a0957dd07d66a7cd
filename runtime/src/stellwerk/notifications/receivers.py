"""The receivers that the settings name."""

import logging
import os
from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from stellwerk.notifications.mail import Mail
from stellwerk.notifications.receiver import Receiver
from stellwerk.notifications.slack import Slack
from stellwerk.settings.monitoring import Receivers
from stellwerk.settings.types import Secret

_logger = logging.getLogger(__name__)


def receivers(
    settings: Receivers, host: str, environment: Mapping[str, str] = os.environ
) -> tuple[Receiver, ...]:
    """Those that are enabled and can be reached: Slack with a webhook, mail with a recipient."""
    found: list[Receiver] = []
    webhook = _webhook(settings, environment)
    if settings.slack.enabled and webhook is not None:
        found.append(Slack(webhook))
    if settings.email.enabled and settings.email.to:
        found.append(Mail(settings.email, host))
    return tuple(found)


def _webhook(settings: Receivers, environment: Mapping[str, str]) -> Secret | None:
    given = settings.slack.webhook_url
    if given is not None and given.given:
        return given
    text = environment.get(settings.slack.webhook_variable)
    if not text:
        return None
    try:
        return TypeAdapter(Secret).validate_python(text)
    except ValidationError:
        _logger.error("%s holds no URL; Slack is told nothing", settings.slack.webhook_variable)
        return None
