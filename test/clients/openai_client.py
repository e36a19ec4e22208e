"""openai: chat, streams, tools, embeddings, Responses, models, errors and what it tries again."""

import json

import openai

from client import arguments, told

url, token = arguments()
client = openai.OpenAI(base_url=url + "/v1", api_key=token, max_retries=2)
hello = [{"role": "user", "content": "hello"}]
pay = {"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}
out = {}

whole = client.chat.completions.create(model="m", messages=hello)
out["chat"] = whole.choices[0].message.content

stream = client.chat.completions.create(model="m", messages=hello, stream=True)
out["stream"] = "".join(chunk.choices[0].delta.content or "" for chunk in stream)

called = client.chat.completions.create(model="m", messages=hello, tools=[pay])
out["tool"] = json.loads(called.choices[0].message.tool_calls[0].function.arguments)

parts = ""
for chunk in client.chat.completions.create(model="m", messages=hello, tools=[pay], stream=True):
    for call in chunk.choices[0].delta.tool_calls or []:
        parts += call.function.arguments or ""
out["toolStream"] = json.loads(parts)

out["embedding"] = client.embeddings.create(model="m", input=["hello"]).data[0].embedding
out["models"] = [model.id for model in client.models.list()]
out["response"] = client.responses.create(model="m", input="hello").output_text
with client.responses.stream(model="m", input="hello") as events:
    out["responseStream"] = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    out["responseEnd"] = events.get_final_response().output_text

out["refused"] = told(lambda: client.chat.completions.create(model="m", messages=[{"role": "user", "content": "falcon"}]))
out["stranger"] = told(
    lambda: openai.OpenAI(base_url=url + "/v1", api_key="none").chat.completions.create(model="m", messages=hello)
)
busy = [{"role": "user", "content": "busy"}]
out["retried"] = client.chat.completions.create(model="m", messages=busy).choices[0].message.content
print(json.dumps(out))
