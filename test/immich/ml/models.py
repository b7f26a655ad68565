"""Makes a model cache in Immich's layout: `python models.py FOLDER OPSET`.

CLIP and the face models are small ones of Immich's shapes; the detector finds the same three faces in every
picture. The text models are real ones, from the package rapidocr-onnxruntime.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy
import onnx
import rapidocr_onnxruntime
from onnx import TensorProto, helper, numpy_helper

cache, opset = Path(sys.argv[1]), int(sys.argv[2])
random = numpy.random.default_rng(3)

# Centres of the faces in the check's picture, in the 640 pixels that Immich scales it to.
FACES = [(93, 112), (320, 112), (538, 126)]


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, value):
        name = f"w{len(self.weights)}"
        value = numpy.asarray(value)
        value = value.astype("float32") if value.dtype == "float64" else value
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def random(self, *shape):
        return self.weight(random.standard_normal(shape) / numpy.prod(shape[1:]) ** 0.5)

    def __call__(self, operator, *inputs, name=None, **attributes):
        name = name or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def save(self, path, given, results):
        float32 = TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "test",
            [helper.make_tensor_value_info(*given)],
            [helper.make_tensor_value_info(name, float32, shape) for name, shape in results.items()],
            self.weights,
        )
        imports = [helper.make_opsetid("", opset)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=8 if opset < 19 else 9)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)


def clip(folder):
    g = Graph()
    x = g("Conv", "image", g.random(64, 3, 16, 16), strides=[16, 16])
    x = g("Transpose", g("Reshape", x, g.weight(numpy.array([0, 64, -1]))), perm=[0, 2, 1])
    x = g("LayerNormalization", x, g.weight(numpy.ones(64)), g.weight(numpy.zeros(64)), axis=-1)
    x = g("MatMul", g("Softmax", g("MatMul", x, g("Transpose", x, perm=[0, 2, 1]))), x)
    x = g("MatMul", g("Gather", x, g.weight(numpy.array(0)), axis=1), g.random(64, 512), name="embedding")
    g.save(folder / "visual/model.onnx", ("image", TensorProto.FLOAT, ["batch", 3, 224, 224]), {x: ["batch", 512]})
    g = Graph()
    x = g("MatMul", g("Gather", g.random(128, 64), "text"), g.random(64, 512))
    x = g("Gather", x, g.weight(numpy.array(1)), axis=1, name="embedding")
    g.save(folder / "textual/model.onnx", ("text", TensorProto.INT32, ["batch", 77]), {x: ["batch", 512]})
    words = {word: number for number, word in enumerate(["<pad>", "<unk>", "a", "cat", "dog"])}
    tokenizer = {
        "version": "1.0",
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "<unk>"},
        "pre_tokenizer": {"type": "Whitespace"},
    }
    for name, content in {
        "config.json": {"embed_dim": 512, "text_cfg": {"context_length": 77}},
        "textual/tokenizer.json": tokenizer,
        "textual/tokenizer_config.json": {"pad_token": "<pad>"},
        "visual/preprocess_cfg.json": {
            "size": [224, 224], "interpolation": "bicubic", "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25],
        },
    }.items():
        (folder / name).write_text(json.dumps(content))


def faces(folder):
    """SCRFD's nine outputs (scores, boxes, landmarks of three strides), and a recogniser for one face."""
    g = Graph()
    zero = g("Mul", g("GlobalAveragePool", g("Conv", "input.1", g.random(1, 3, 3, 3))), g.weight([[[[0.0]]]]))
    results = {}
    for kind, width in (("score", 1), ("bbox", 4), ("kps", 10)):
        for stride in (8, 16, 32):
            side = 640 // stride
            values = numpy.zeros((side * side * 2, width))
            if stride == 8:
                for x, y in FACES:
                    place = (y // 8 * side + x // 8) * 2
                    values[place] = {
                        "score": [0.9],
                        "bbox": [7, 9, 7, 9],
                        "kps": [-3, -3, 3, -3, 0, 0, -2, 3, 2, 3],
                    }[kind]
            flat = g("Reshape", zero, g.weight(numpy.array([1, 1])))
            results[g("Add", g.weight(values), flat, name=f"{kind}_{stride}")] = [side * side * 2, width]
    g.save(folder / "detection/model.onnx", ("input.1", TensorProto.FLOAT, [1, 3, "?", "?"]), results)
    g = Graph()
    x = g("PRelu", g("Conv", "input.1", g.random(16, 3, 8, 8), strides=[8, 8]), g.random(16, 1, 1))
    x = g("Gemm", g("Flatten", x), g.random(16 * 14 * 14, 512), name="683")
    g.save(folder / "recognition/model.onnx", ("input.1", TensorProto.FLOAT, [1, 3, 112, 112]), {x: [1, 512]})


def text(folder):
    source = Path(rapidocr_onnxruntime.__file__).parent / "models"
    for part, file in (("detection", "ch_PP-OCRv4_det_infer"), ("recognition", "ch_PP-OCRv4_rec_infer")):
        (folder / part).mkdir(parents=True)
        shutil.copy(source / f"{file}.onnx", folder / part / "model.onnx")


clip(cache / "clip/ViT-B-32__openai")
faces(cache / "facial-recognition/buffalo_s")
text(cache / "ocr/PP-OCRv5_mobile")
