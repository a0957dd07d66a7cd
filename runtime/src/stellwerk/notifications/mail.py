"""Mail, by SMTP."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from stellwerk.notifications.message import Message, to_json
from stellwerk.notifications.receiver import DeliveryError
from stellwerk.notifications.wording import subject, text_lines

if TYPE_CHECKING:
    from email.message import EmailMessage

    from stellwerk.settings.monitoring import Email

_TIMEOUT_SECONDS: Final = 10


class Mail:
    """Mail to the recipients of the settings. `host` stands in the sender's address."""

    name: Final = "email"

    def __init__(self, settings: "Email", host: str) -> None:
        self._settings = settings
        self._host = host

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Send one mail. Raises DeliveryError."""
        mail = compose(messages, self._settings, self._host)
        try:
            # smtplib blocks; each of its steps ends after the timeout.
            await asyncio.to_thread(_send, mail, self._settings)
        except OSError as error:  # smtplib's own errors are of this kind
            server = f"{self._settings.smtp_host}:{self._settings.smtp_port}"
            raise DeliveryError(
                f"the mail server {server} did not take the mail: {_reason(error)}"
            ) from None


def compose(messages: Sequence[Message], settings: "Email", host: str) -> "EmailMessage":
    """The mail for these messages. The same ones make the same Message-ID, by which mail programs
    know a mail that was sent twice.
    """
    # Imported when there is something to send: it costs every daemon memory.
    from email.message import EmailMessage
    from email.utils import format_datetime

    mail = EmailMessage()
    mail["Subject"] = subject(messages)
    mail["From"] = settings.sender or f"stellwerk@{host}"
    mail["To"] = ", ".join(settings.to)
    mail["Date"] = format_datetime(messages[-1].at)
    digest = hashlib.sha256("\n".join(map(to_json, messages)).encode()).hexdigest()[:32]
    mail["Message-ID"] = f"<{digest}@{host}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    mail.set_content("\n".join(text_lines(messages)) + "\n")
    return mail


def _send(mail: "EmailMessage", settings: "Email") -> None:
    import smtplib
    import ssl

    where = (settings.smtp_host, settings.smtp_port)
    encrypted = settings.smtp_encryption
    trusted = ssl.create_default_context() if encrypted != "none" else None
    connection = (
        smtplib.SMTP_SSL(*where, timeout=_TIMEOUT_SECONDS, context=trusted)
        if encrypted == "tls"
        else smtplib.SMTP(*where, timeout=_TIMEOUT_SECONDS)
    )
    with connection as server:
        if encrypted == "starttls":
            server.starttls(context=trusted)
        if settings.smtp_user is not None and settings.smtp_password is not None:
            server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        server.send_message(mail)


def _reason(error: OSError) -> str:
    return " ".join(str(error).split()) or type(error).__name__
