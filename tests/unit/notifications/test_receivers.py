"""Claims about Slack and mail, with servers that listen."""

import asyncio
from email import message_from_string, policy

import pytest

from stellwerk.notifications.mail import Mail, compose
from stellwerk.notifications.receiver import DeliveryError, Receiver
from stellwerk.notifications.receivers import receivers
from stellwerk.notifications.slack import Slack
from stellwerk.settings.monitoring import Email, Receivers
from tests.unit.notifications.examples import message
from tests.unit.notifications.servers import Mailed, Posted, mail_server, web_server

MESSAGES = [message("memory is short", severity="warning"), message("Redis is down")]


def _deliver_to_slack(posted: Posted) -> None:
    async def scenario() -> None:
        async with web_server(posted) as server:
            await Slack(server.url).deliver(MESSAGES)

    asyncio.run(scenario())


def _deliver_by_mail(mailed: Mailed, **settings: object) -> None:
    async def scenario() -> None:
        async with mail_server(mailed) as server:
            chosen = Email.model_validate(
                {"to": ["ops@example.org"], "smtp_host": "127.0.0.1", "smtp_port": server.port}
                | settings
            )
            await Mail(chosen, "cache-1").deliver(MESSAGES)

    asyncio.run(scenario())


def test_slack_gets_all_messages_as_one() -> None:
    posted = Posted()
    _deliver_to_slack(posted)
    (body,) = posted.bodies
    assert body["text"] == ":rotating_light: [critical] cache-1: Redis is down (and 1 more)"
    assert "memory is short" in body["blocks"][1]["text"]["text"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_refusal_by_slack_names_its_status_but_not_the_webhook(status: int) -> None:
    with pytest.raises(DeliveryError, match=str(status)) as caught:
        _deliver_to_slack(Posted(statuses=iter([status])))
    assert "secret-part" not in str(caught.value)


def test_slack_may_ask_for_time() -> None:
    with pytest.raises(DeliveryError) as caught:
        _deliver_to_slack(Posted(statuses=iter([429]), headers={"Retry-After": "30"}))
    assert caught.value.retry_after == 30


def test_a_webhook_that_cannot_be_reached_is_not_named() -> None:
    webhook = "http://127.0.0.1:9/services/secret-part"
    with pytest.raises(DeliveryError) as caught:
        asyncio.run(Slack(webhook).deliver(MESSAGES))
    assert "secret-part" not in str(caught.value)


def test_mail_arrives_with_subject_and_text() -> None:
    mailed = Mailed()
    _deliver_by_mail(mailed, to=["ops@example.org", "team@example.org"])
    assert mailed.recipients == ["ops@example.org", "team@example.org"]
    mail = message_from_string(mailed.mails[0], policy=policy.default)
    assert mail["Subject"] == "[critical] cache-1: Redis is down (and 1 more)"
    assert mail["From"] == "stellwerk@cache-1"
    assert "memory is short" in mailed.mails[0]
    assert "Redis is down" in mailed.mails[0]


def test_a_mail_server_that_refuses_says_why() -> None:
    with pytest.raises(DeliveryError, match="no such mailbox"):
        _deliver_by_mail(Mailed(refused=("ops@example.org",)))


def test_no_mail_server_at_all_is_a_failed_delivery() -> None:
    settings = Email(to=["ops@example.org"], smtp_host="127.0.0.1", smtp_port=9)
    with pytest.raises(DeliveryError, match=r"127\.0\.0\.1:9"):
        asyncio.run(Mail(settings, "cache-1").deliver(MESSAGES))


def test_a_mail_that_is_sent_twice_is_known_by_its_identity() -> None:
    settings = Email(to=["ops@example.org"])
    first, again = (compose(MESSAGES, settings, "cache-1") for _ in range(2))
    other = compose(MESSAGES[:1], settings, "cache-1")
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]


def test_a_headline_cannot_add_headers() -> None:
    mail = compose([message("down\r\nBcc: all@example.org")], Email(to=["a@example.org"]), "db-1")
    assert mail["Bcc"] is None


def test_a_mail_password_is_never_sent_in_the_clear() -> None:
    with pytest.raises(ValueError, match="starttls"):
        Email(smtp_user="ops")


def _names(found: tuple[Receiver, ...]) -> list[str]:
    return [one.name for one in found]


def test_receivers_are_those_that_can_be_reached() -> None:
    both = Receivers.model_validate({"email": {"to": ["ops@example.org"]}})
    environment = {"SLACK_WEBHOOK_URL": "https://hooks.example/T0"}
    assert _names(receivers(Receivers(), "db-1", {})) == []
    assert _names(receivers(both, "db-1", {})) == ["email"]
    assert _names(receivers(both, "db-1", environment)) == ["slack", "email"]
    off = Receivers.model_validate({"slack": {"enabled": False}})
    assert _names(receivers(off, "db-1", environment)) == []


def test_a_webhook_that_is_none_leaves_slack_out(caplog: pytest.LogCaptureFixture) -> None:
    assert receivers(Receivers(), "db-1", {"SLACK_WEBHOOK_URL": "two words"}) == ()
    assert "two words" not in caplog.text
