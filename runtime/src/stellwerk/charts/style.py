"""The style sheet of charts: light and dark. Colours are shared with the pages they stand on."""

from typing import Final

CHART_STYLE: Final = """
:root{--ground:#fff;--card:#f6f7f9;--ink:#1b1f24;--dim:#57606a;--edge:#d8dde3;
--good:#116329;--bad:#b3141f;--weak:#8a5200;
--l0:#0969da;--l1:#c2410c;--l2:#7c3aed;--l3:#0f766e;--l4:#a1097b;--l5:#5c6b00}
@media(prefers-color-scheme:dark){:root{--ground:#0f1318;--card:#191f26;--ink:#e8ebef;--dim:#9da7b3;
--edge:#333c47;--good:#5fd07f;--bad:#ff8182;--weak:#f0b24b;
--l0:#6cb2ff;--l1:#ff9a5c;--l2:#c4a3ff;--l3:#4fd1c0;--l4:#ff8fd8;--l5:#c9d65b}}
svg text{fill:var(--dim);font:14px system-ui,sans-serif}
text.y{text-anchor:end}text.x{text-anchor:middle}
.grid{stroke:var(--edge);stroke-width:1;fill:none}
.shade{fill:var(--edge);opacity:.45}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.l0{stroke:var(--l0)}.l1{stroke:var(--l1);stroke-dasharray:7 4}
.l2{stroke:var(--l2);stroke-dasharray:2 4}.l3{stroke:var(--l3)}
.l4{stroke:var(--l4);stroke-dasharray:7 4}.l5{stroke:var(--l5);stroke-dasharray:2 4}
.mark{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:10 5;fill:none}
"""
"""Lines differ by colour and by dashes, as not everybody tells colours apart."""
