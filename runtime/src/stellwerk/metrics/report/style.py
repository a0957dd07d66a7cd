"""What the style sheet of the page has besides that of all pages: its table."""

from typing import Final

STYLE: Final = """
nav{margin:12px 0 0}nav a,nav [aria-current]{margin-right:16px}
a{color:var(--l0)}[aria-current]{font-weight:700}
.critical h2{color:var(--bad)}.warning h2,.unread h2{color:var(--weak)}
caption{text-align:left;font-size:1.15rem;font-weight:700;padding:28px 0 4px}
thead th{position:sticky;top:0;background:var(--ground)}
th:first-child{text-align:left;padding-left:0}td:last-child,th:last-child{padding-right:0}
th[scope=rowgroup]{font-weight:700;padding-top:20px}
tbody tr:first-child{border-top:0}
th small{display:block}
td{white-space:nowrap}td.weak{color:var(--weak)}
.spark{width:96px;height:20px;vertical-align:middle}
@media(max-width:1000px){
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table,tbody,caption{display:block}
tbody tr{display:grid;grid-template-columns:repeat(auto-fill,minmax(76px,1fr));gap:2px 8px;
padding:8px 0}
tbody th{grid-column:1/-1;padding:0;font-weight:600}th[scope=rowgroup]{padding-top:12px;
font-size:1.15rem}
th small{display:inline;margin-left:6px}
td{padding:0;text-align:left}
td::before{content:attr(data-of);display:block;color:var(--dim);font-size:.8125rem;font-weight:400}
td.course:empty{display:none}.spark{width:100%;max-width:96px}
}
"""
