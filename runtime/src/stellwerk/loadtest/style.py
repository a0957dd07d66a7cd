"""The style sheet of the page: light and dark, wide and narrow."""

from typing import Final

STYLE: Final = """
:root{--ground:#fff;--card:#f6f7f9;--ink:#1b1f24;--dim:#57606a;--edge:#d8dde3;
--good:#116329;--bad:#b3141f;--weak:#8a5200;
--l0:#0969da;--l1:#c2410c;--l2:#7c3aed;--l3:#0f766e;--l4:#a1097b;--l5:#5c6b00}
@media(prefers-color-scheme:dark){:root{--ground:#0f1318;--card:#191f26;--ink:#e8ebef;--dim:#9da7b3;
--edge:#333c47;--good:#5fd07f;--bad:#ff8182;--weak:#f0b24b;
--l0:#6cb2ff;--l1:#ff9a5c;--l2:#c4a3ff;--l3:#4fd1c0;--l4:#ff8fd8;--l5:#c9d65b}}
*{box-sizing:border-box}
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
svg text{fill:var(--dim);font:14px system-ui,sans-serif}
text.y{text-anchor:end}text.x{text-anchor:middle}
.grid{stroke:var(--edge);stroke-width:1;fill:none}
.shade{fill:var(--edge);opacity:.45}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.l0{stroke:var(--l0)}.l1{stroke:var(--l1);stroke-dasharray:7 4}
.l2{stroke:var(--l2);stroke-dasharray:2 4}.l3{stroke:var(--l3)}
.l4{stroke:var(--l4);stroke-dasharray:7 4}.l5{stroke:var(--l5);stroke-dasharray:2 4}
.mark{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:10 5;fill:none}
@media(max-width:620px){
tr{display:grid;grid-template-columns:repeat(5,1fr)}
.checks tr{grid-template-columns:repeat(3,1fr) 1.3fr}
tr>th:first-child{grid-column:1/-1;padding-bottom:0}thead th:first-child{display:none}
th,td{padding:4px 2px}.checks td{font-size:.9375rem}.checks td:last-child{width:auto}
}
"""
"""Lines differ by colour and by dashes, as not everybody tells colours apart."""
