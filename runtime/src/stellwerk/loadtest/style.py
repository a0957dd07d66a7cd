"""What the style sheet of the page has besides that of all pages: its tables and charts."""

from typing import Final

STYLE: Final = """
.why li{margin:4px 0}
tbody tr.service{border-top:0;color:var(--dim);font-size:.875rem}
.service th,.service td{padding-top:0}
td small,.checks th small{display:block;font-weight:400}
.times td.bad::after{content:" over";font-size:.8125rem;display:block}
.checks td:last-child{white-space:nowrap;width:6.5rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:16px}
figure{margin:0;padding:12px;background:var(--card);border:1px solid var(--edge);border-radius:8px}
figcaption{font-weight:600}figcaption .unit{font-weight:400;font-size:.875rem}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 16px;padding:0;font-size:.875rem}
.key{width:24px;height:8px;margin-right:6px;vertical-align:middle}
figure>svg{display:block;width:100%;height:auto;margin-top:4px}
@media(max-width:620px){
tr{display:grid;grid-template-columns:repeat(5,1fr)}
.checks tr{grid-template-columns:repeat(3,1fr) 1.3fr}
tr>th:first-child{grid-column:1/-1;padding-bottom:0}thead th:first-child{display:none}
th,td{padding:4px 2px}.checks td{font-size:.9375rem}.checks td:last-child{width:auto}
}
"""
