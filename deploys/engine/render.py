"""Templates of the repository, rendered with values that must all be given."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates"

# Configuration files are no HTML: nothing is to be escaped.
_environment = Environment(  # noqa: S701
    loader=FileSystemLoader(TEMPLATES),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(template: str, **values: object) -> str:
    """The template's text, such as `render("haproxy/haproxy.cfg.j2", services=...)`."""
    return _environment.get_template(template).render(**values)
