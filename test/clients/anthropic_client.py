"""anthropic: messages, streams, tools, counting, errors and what it tries again."""

import json

import anthropic

from client import arguments

url, token = arguments()
client = anthropic.Anthropic(base_url=url, api_key=token, max_retries=2)
asked = {"model": "m", "max_tokens": 64}
hello = [{"role": "user", "content": "hello"}]
pay = {"name": "pay", "input_schema": {"type": "object"}}
out = {}

out["message"] = client.messages.create(messages=hello, **asked).content[0].text
with client.messages.stream(messages=hello, **asked) as stream:
    out["stream"] = "".join(stream.text_stream)
    out["end"] = stream.get_final_message().stop_reason
with client.messages.stream(messages=hello, tools=[pay], **asked) as stream:
    out["tool"] = [block.input for block in stream.get_final_message().content if block.type == "tool_use"]
out["count"] = client.messages.count_tokens(model="m", messages=hello).input_tokens


def told(ask):
    try:
        ask()
    except anthropic.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.body["error"]["type"], error.body["error"].get("code")]


out["refused"] = told(lambda: client.messages.create(messages=[{"role": "user", "content": "falcon"}], **asked))
out["stranger"] = told(
    lambda: anthropic.Anthropic(base_url=url, api_key="none").messages.create(messages=hello, **asked)
)
out["retried"] = client.messages.create(messages=[{"role": "user", "content": "busy"}], **asked).content[0].text
print(json.dumps(out))
