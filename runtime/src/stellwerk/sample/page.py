"""The page that the sample service shows in a browser."""

from html import escape

from stellwerk.sample.configuration import ServiceConfiguration

_PAGE = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{service}</title></head>
<body>
<h1>{service}</h1>
<p>Instance <strong>{instance}</strong> on host <strong>{host}</strong> answered this request.</p>
<p>This is Stellwerk's sample service. A program of your own takes its place.</p>
<ul>
<li><a href="/health">health</a></li>
<li><a href="/api/portfolios?limit=10">portfolios</a></li>
<li><a href="/api/assets?symbol=AAPL">an asset</a></li>
<li><a href="/api/trades?limit=10">trades</a></li>
</ul>
</body>
</html>
"""


def page(configuration: ServiceConfiguration, host: str) -> str:
    """The HTML that names service, instance and host."""
    return _PAGE.format(
        service=escape(configuration.service),
        instance=escape(configuration.label),
        host=escape(host),
    )
