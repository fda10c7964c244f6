"""The finished contestant of a suite behind an OpenAI-compatible endpoint, with a page to try it beside its parent.

`request` says what may be asked, `engine` who writes the answer, one token after another: `turns` in this process,
`upstream` at a vLLM server. `api` is the endpoint, `chat` the page, `talks` what the page remembers while it is open;
`votes` keeps what visitors agreed to have kept. `contestant` opens the weights, `merging` merges their adapters first.
"""
