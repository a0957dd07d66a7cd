"""The receivers that the settings name."""

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stellwerk.notifications.mail import Mail
from stellwerk.notifications.receiver import Receiver
from stellwerk.notifications.slack import Slack

if TYPE_CHECKING:
    from stellwerk.settings.monitoring import Receivers

_logger = logging.getLogger(__name__)


def receivers(
    settings: "Receivers", host: str, environment: Mapping[str, str] = os.environ
) -> tuple[Receiver, ...]:
    """Those that are enabled and can be reached: Slack with a webhook, mail with a recipient."""
    found: list[Receiver] = []
    webhook = _webhook(settings, environment)
    if settings.slack.enabled and webhook is not None:
        found.append(Slack(webhook))
    if settings.email.enabled and settings.email.to:
        found.append(Mail(settings.email, host))
    return tuple(found)


def _webhook(settings: "Receivers", environment: Mapping[str, str]) -> str | None:
    given = settings.slack.webhook_url
    if given is not None and given.given:
        return given.get_secret_value()
    text = environment.get(settings.slack.webhook_variable, "")
    if text and not text.startswith(("https://", "http://")):
        _logger.error("%s holds no URL; Slack is told nothing", settings.slack.webhook_variable)
        return None
    return text or None
