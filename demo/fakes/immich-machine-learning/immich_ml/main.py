"""The HTTP interface of Immich's machine-learning service: /, /ping and /predict."""

import json
from contextlib import asynccontextmanager
from typing import Annotated, Any, Optional

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, File, Form, HTTPException, UploadFile
from fastapi.responses import PlainTextResponse
from PIL import UnidentifiedImageError

from . import models, parts, settings


@asynccontextmanager
async def limit_threads(_: FastAPI):
    current_default_thread_limiter().total_tokens = max(1, settings.request_threads)
    yield


app = FastAPI(lifespan=limit_threads)


@app.get("/")
async def root() -> dict[str, str]:
    return {"message": "Immich ML"}


@app.get("/ping", response_class=PlainTextResponse)
async def ping() -> str:
    return "pong"


def requested(entries: str) -> dict[str, dict[str, dict[str, Any]]]:
    try:
        tasks = json.loads(entries)
        for kinds in tasks.values():
            for entry in kinds.values():
                if not isinstance(entry["modelName"], str):
                    raise TypeError
    except (ValueError, AttributeError, KeyError, TypeError):
        raise HTTPException(422, "Invalid request format.")
    return tasks


@app.post("/predict")
def predict(
    entries: Annotated[str, Form()],
    image: Annotated[Optional[UploadFile], File()] = None,
    text: Annotated[Optional[str], Form()] = None,
) -> dict[str, Any]:
    tasks = requested(entries)
    if image is None and text is None:
        raise HTTPException(400, "Either image or text must be provided")
    if unknown := set(tasks) - {"clip", "facial-recognition", "ocr"}:
        raise HTTPException(501, f"this fake does not know the task {', '.join(sorted(unknown))}")
    answer: dict[str, Any] = {}
    try:
        picture = models.open_image(image.file.read()) if image is not None else None
        for kind, entry in tasks.get("clip", {}).items():
            name = entry["modelName"]
            if kind == "visual" and picture is not None:
                embedding = models.embed_image(name, picture)
            elif kind == "textual" and text is not None:
                embedding = models.embed_text(name, text)
            else:
                raise HTTPException(400, f"clip.{kind} cannot be used with what was sent")
            answer["clip"] = json.dumps(embedding)
        if "facial-recognition" in tasks and picture is not None:
            answer["facial-recognition"] = parts.find_faces(tasks["facial-recognition"], picture)
        if "ocr" in tasks and picture is not None:
            answer["ocr"] = parts.read_text(tasks["ocr"], picture)
    except UnidentifiedImageError:
        raise HTTPException(400, "The image cannot be read")
    except (models.UnknownModel, models.GivenUp) as error:
        raise HTTPException(500, str(error))
    if picture is not None:
        answer["imageHeight"] = picture.height
        answer["imageWidth"] = picture.width
    return answer
