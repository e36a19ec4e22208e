"""litellm as a client of OpenAI's, Anthropic's and Ollama's API: chats, streams, tools, embeddings and errors."""

import json
import os

# Prices of models are read from a file of the package then, not from the network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

from client import arguments

url, token = arguments()
hello = [{"role": "user", "content": "hello"}]
pay = {"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}
to = {
    "openai": {"model": "openai/m", "api_base": url + "/v1", "api_key": token},
    "anthropic": {"model": "anthropic/m", "api_base": url, "api_key": token, "max_tokens": 64},
    "ollama": {"model": "ollama_chat/m", "api_base": url, "api_key": token},
}
out = {}


def told(ask):
    try:
        ask()
    except Exception as error:
        return [type(error).__name__, getattr(error, "status_code", None), "A guard refused the content" in str(error)]


for name, server in to.items():
    settings = {**server, "num_retries": 0}
    whole = litellm.completion(messages=hello, **settings)
    stream = litellm.completion(messages=hello, stream=True, **settings)
    out[name] = {
        "chat": whole.choices[0].message.content,
        "stream": "".join(chunk.choices[0].delta.content or "" for chunk in stream),
        "refused": told(lambda: litellm.completion(messages=[{"role": "user", "content": "falcon"}], **settings)),
    }
called = litellm.completion(messages=hello, tools=[pay], **to["openai"])
out["tool"] = json.loads(called.choices[0].message.tool_calls[0].function.arguments)
out["embedding"] = litellm.embedding(input=["hello"], **to["openai"]).data[0]["embedding"]
print(json.dumps(out))
