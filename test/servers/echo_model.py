"""A runtime of MLServer's: says the prompts that it got, doubles the numbers, and streams in pieces of five letters."""

from typing import AsyncIterator

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class EchoModel(MLModel):
    async def load(self) -> bool:
        self.ready = True
        return self.ready

    def _answer(self, texts, others=()):
        outputs = [StringCodec.encode_output("text", texts), *others]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        texts = StringCodec.decode_input(payload.inputs[0])
        doubled = [
            ResponseOutput(name="doubled", shape=one.shape, datatype=one.datatype, data=[2 * x for x in one.data])
            for one in payload.inputs[1:]
        ]
        return self._answer(texts, doubled)

    async def predict_stream(self, payloads: AsyncIterator[InferenceRequest]) -> AsyncIterator[InferenceResponse]:
        async for payload in payloads:
            text = "".join(StringCodec.decode_input(payload.inputs[0]))
            for at in range(0, len(text), 5):
                yield self._answer([text[at : at + 5]])
