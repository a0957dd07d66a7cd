"""Claims about all that goes out from a host's monitor, taken together."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

from stellwerk.metrics.alerting import Alerting
from stellwerk.metrics.registry import Registry
from stellwerk.settings.root import Settings
from tests.unit.metrics.alerts.examples import CPU, INTERVAL, REDIS_UP, START
from tests.unit.notifications.servers import Mailed, Posted, mail_server, silent_server, web_server


def test_a_dead_receiver_and_a_dead_zabbix_keep_no_alert_from_the_others(tmp_path: Path) -> None:
    mailed, posted = Mailed(), Posted()

    async def scenario() -> None:
        async with mail_server(mailed), web_server(posted), silent_server() as silent:
            settings = Settings.model_validate(
                {
                    "monitoring": {
                        "receivers": {
                            "slack": {"webhook_url": f"http://127.0.0.1:{silent}/secret"},
                            "email": {
                                "to": ["ops@example.org"],
                                "smtp_host": "127.0.0.1",
                                "smtp_port": mailed.port,
                            },
                            "alertmanager": {"url": posted.url, "interval_seconds": 1},
                        }
                    },
                    "scaling": {"export": {"zabbix": {"server": "127.0.0.1", "port": silent}}},
                }
            )
            alerting = Alerting("cache-1", settings, Registry(settings), tmp_path)
            began = time.time()
            for number in range(10):
                alerting.observe([(REDIS_UP, 0.0), (CPU, 5.0)], began + number * INTERVAL)
            task = asyncio.create_task(alerting.run())
            async with asyncio.timeout(30):
                ended = {"slack": 1, "email": 0}
                while not (mailed.mails and posted.bodies and alerting.queued == ended):
                    await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())
    assert "redis 6379 is down" in mailed.mails[0]
    assert "redis 6379 is down" in json.dumps(posted.bodies)


def test_without_receivers_alerts_are_judged_and_nothing_waits(tmp_path: Path) -> None:
    alerting = Alerting("cache-1", Settings(), Registry(Settings()), tmp_path)
    for number in range(10):
        alerting.observe([(REDIS_UP, 0.0)], START + number * INTERVAL)
    assert [one.sentence for one in alerting.center.alerts()] == ["redis 6379 is down"]
    assert alerting.queued == {}


def test_a_daemon_gets_no_library_that_would_be_a_quarter_of_its_memory() -> None:
    heavy = ["pydantic", "aiohttp", "smtplib", "email", "http.client", "click", "yaml"]
    script = (
        "import sys, stellwerk.metrics.alerting;"
        f"print([one for one in {heavy} if one in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
