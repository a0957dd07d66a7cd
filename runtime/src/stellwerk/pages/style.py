"""The style sheet that all pages begin with: light and dark."""

from typing import Final

from stellwerk.charts.style import CHART_STYLE

PAGE_STYLE: Final = (
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
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:6px 8px;text-align:right;vertical-align:top;font-weight:400}
thead th{color:var(--dim);font-size:.875rem}
tbody th{text-align:left;overflow-wrap:anywhere}
tbody tr{border-top:1px solid var(--edge)}
small{font-size:.8125rem}
"""
)
