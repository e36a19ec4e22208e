"""langchain-openai: chats, streams, tools, embeddings and errors."""

import json

from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from client import arguments, told

url, token = arguments()
chat = ChatOpenAI(base_url=url + "/v1", api_key=token, model="m", max_retries=0)
pay = {"type": "function", "function": {"name": "pay", "description": "pays", "parameters": {"type": "object"}}}
out = {}

out["chat"] = chat.invoke("hello").content
out["stream"] = "".join(chunk.content for chunk in chat.stream("hello"))
out["tool"] = [call["args"] for call in chat.bind_tools([pay]).invoke("hello").tool_calls]
gathered = None
for chunk in chat.bind_tools([pay]).stream("hello"):
    gathered = chunk if gathered is None else gathered + chunk
out["toolStream"] = [call["args"] for call in gathered.tool_calls]
# Texts, not the ids of tokens that it would make of them with a file from the network.
embeddings = OpenAIEmbeddings(base_url=url + "/v1", api_key=token, model="m", check_embedding_ctx_length=False)
out["embedding"] = embeddings.embed_query("hello")
out["refused"] = told(lambda: chat.invoke("falcon"))
print(json.dumps(out))
