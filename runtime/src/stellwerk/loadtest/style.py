"""The style sheet of the page: light and dark, wide and narrow."""

from typing import Final

from stellwerk.charts.style import CHART_STYLE

STYLE: Final = (
    CHART_STYLE
    + """*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);
font:16px/1.45 system-ui,sans-serif}
header,main{max-width:1080px;margin:0 auto;padding:0 16px}
header{padding-top:20px;padding-bottom:4px}
h1{font-size:1.55rem;line-height:1.2;margin:0 0 8px;padding-left:12px;border-left:8px solid;
overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:28px 0 8px}
h3{font-size:1rem;margin:18px 0 4px}
p{margin:4px 0;overflow-wrap:anywhere}
.hint,.unit,small{color:var(--dim)}
header.good h1{border-color:var(--good)}header.bad h1{border-color:var(--bad)}
header.weak h1{border-color:var(--weak)}
td.good{color:var(--good)}td.bad{color:var(--bad);font-weight:700}td.none{color:var(--dim)}
ul{margin:4px 0;padding-left:20px}li{overflow-wrap:anywhere}
.why li{margin:4px 0}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:6px 8px;text-align:right;vertical-align:top;font-weight:400}
thead th{color:var(--dim);font-size:.875rem}
tbody th{text-align:left;overflow-wrap:anywhere}
tbody tr{border-top:1px solid var(--edge)}
tbody tr.service{border-top:0;color:var(--dim);font-size:.875rem}
.service th,.service td{padding-top:0}
td small,.checks th small{display:block;font-weight:400}
small{font-size:.8125rem}
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
)
