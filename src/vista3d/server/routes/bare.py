"""Pages that need no script: where the token is entered, and how the annotator is built."""

from __future__ import annotations

_FRAME = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>vista3d</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<link rel="icon" href="data:,">
<style>
:root {{ color-scheme: dark light; font: 15px/1.5 system-ui, sans-serif; }}
body {{ display: grid; place-content: center; min-height: 92vh; margin: 0;
  background: light-dark(#eef1f4, #0f1317); color: light-dark(#1a232c, #dfe6ed); }}
main {{ max-width: 27rem; padding: 1.5rem 2rem; border-radius: 12px;
  border: 1px solid light-dark(#d3dae1, #2a333d); background: light-dark(#fbfcfd, #161b21); }}
h1 {{ margin: 0 0 .6rem; font-size: 1.3rem; }}
p {{ margin: .6rem 0; }}
form {{ display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0; }}
label {{ width: 100%; font-weight: 550; }}
input, button {{ font: inherit; padding: .4rem .7rem; border-radius: 6px; }}
input {{ flex: 1; min-width: 0; border: 1px solid light-dark(#8b98a5, #566472);
  background: light-dark(#fff, #0f1317); color: inherit; }}
button {{ border: 0; background: light-dark(#1b6fb3, #5aa9e6); color: light-dark(#fff, #06121d); }}
a {{ color: light-dark(#1b6fb3, #5aa9e6); }}
.wrong {{ color: light-dark(#a11d1d, #ff8f8f); }}
.quiet {{ color: light-dark(#566472, #93a1af); font-size: .85rem; }}
</style>
<main>{content}<p class="quiet">Research software, not a medical device.</p></main>
</html>"""

_WRONG = '<p class="wrong" role="alert">This is not the token of this server.</p>'

_ENTRY = """<h1>vista3d asks for its token</h1>
<p>It is part of the address that the server printed when it started. This browser keeps it in a
cookie.</p>
{wrong}
<form method="post"><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open</button></form>"""

NOT_BUILT = _FRAME.format(
    content="""<h1>vista3d is running</h1>
<p>The annotator page was not built into this installation. In a checkout:
<code>make annotator</code> builds it, with what it needs, and starts the server.</p>
<p>The API is at <a href="/api/v1/info">/api/v1</a>, described in
<a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.</p>"""
)


def entry(*, wrong: bool) -> str:
    """The form that asks for the token; `wrong` after one that was not it."""
    return _FRAME.format(content=_ENTRY.format(wrong=_WRONG if wrong else ""))
