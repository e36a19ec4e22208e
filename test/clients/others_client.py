"""ollama, cohere, google-genai and huggingface-hub: a chat, a stream and a refusal each."""

import json
import os

import cohere
import google.genai
import huggingface_hub
import ollama

from client import arguments

url, token = arguments()
out = {}


def told(ask):
    try:
        ask()
    except Exception as error:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        return [type(error).__name__, status or getattr(getattr(error, "response", None), "status_code", None)]


def message(text):
    return [{"role": "user", "content": text}]


local = ollama.Client(host=url, headers={"authorization": "Bearer " + token})
out["ollama"] = {
    "chat": local.chat(model="m", messages=message("hello")).message.content,
    "stream": "".join(part.message.content for part in local.chat(model="m", messages=message("hello"), stream=True)),
    "refused": told(lambda: local.chat(model="m", messages=message("falcon"))),
}

hosted = cohere.ClientV2(api_key=token, base_url=url)
out["cohere"] = {
    "chat": hosted.chat(model="m", messages=message("hello")).message.content[0].text,
    "stream": "".join(
        event.delta.message.content.text
        for event in hosted.chat_stream(model="m", messages=message("hello"))
        if event.type == "content-delta"
    ),
    "refused": told(lambda: hosted.chat(model="m", messages=message("falcon"))),
}

gemini = google.genai.Client(api_key=token, http_options={"base_url": url})
out["gemini"] = {
    "chat": gemini.models.generate_content(model="m", contents="hello").text,
    "stream": "".join(part.text or "" for part in gemini.models.generate_content_stream(model="m", contents="hello")),
    "refused": told(lambda: gemini.models.generate_content(model="m", contents="falcon")),
}

hub = huggingface_hub.InferenceClient(base_url=url, api_key=token)
out["huggingface"] = {
    "chat": hub.chat_completion(messages=message("hello"), model="m").choices[0].message.content,
    "stream": "".join(
        part.choices[0].delta.content or ""
        for part in hub.chat_completion(messages=message("hello"), model="m", stream=True)
    ),
    "refused": told(lambda: hub.chat_completion(messages=message("falcon"), model="m")),
}
tgi = huggingface_hub.InferenceClient(model=url + "/generate", token=token)
out["tgi"] = {"chat": tgi.text_generation("hello", details=True).generated_text}
print(json.dumps(out))
