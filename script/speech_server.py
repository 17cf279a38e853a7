"""Whisper behind OpenAI's `POST /v1/audio/transcriptions`, on loopback. Started by script/speech, which documents the contract.

Where it differs from OpenAI's service, on purpose:
- Speakers come from channels: in a recording with two different channels each channel is one speaker, which is exact. There is no model
  that tells voices apart, so a recording with one channel (or two equal ones) has the single speaker "unknown".
- Times are taken from words, never from Whisper's segments, whose edges are wrong across silence; and silence is cut out before decoding,
  because Whisper invents sentences in it. A turn ends where its speaker pauses for more than a second.
- `language` in answers is a code ("en"). `model` selects nothing. No streaming, log probabilities, prompt or speaker references.
"""

import argparse
import hmac
import io
import json
import math
import os
import signal
import socket
import stat
import sys
import threading
from pathlib import Path

import av
import numpy
import uvicorn
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

SAMPLES_PER_SECOND = 16000
TURN_PAUSE_SECONDS = 1.0
FORMATS = ("json", "text", "srt", "vtt", "verbose_json", "diarized_json")
MAX_BYTES = int(os.environ.get("PLUMBLINE_SPEECH_MAX_BYTES", 512 * 1024 * 1024))
KEY = os.environ.get("PLUMBLINE_SPEECH_KEY", "")


class Refused(Exception):
    """A request that is answered by OpenAI's error object."""

    def __init__(self, status, message, param=None, code=None):
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}


class Recogniser:
    """Whisper's weights in memory. One decode at a time: the engine uses every core already."""

    def __init__(self, weights):
        threads = int(os.environ.get("PLUMBLINE_SPEECH_THREADS", 0))
        self.model = WhisperModel(weights, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True)
        self.one_at_a_time = threading.Lock()

    def words(self, samples, language, temperature):
        """The words of one channel in order, each with `start` and `end` in seconds, and the language's code."""
        with self.one_at_a_time:
            segments, info = self.model.transcribe(
                samples,
                language=language,
                temperature=temperature,
                beam_size=1,
                word_timestamps=True,
                condition_on_previous_text=False,
                vad_filter=True,
            )
            return [word for segment in segments for word in segment.words], info.language

    def turns(self, samples, language, temperature, at_sentences=False):
        """One channel's words, parted where the speaker pauses (and where a sentence ends, if asked): dicts of `start` and `end` in seconds,
        `text` and `words`. And the language's code."""
        turns = []
        words, language = self.words(samples, language, temperature)
        for word in words:
            ended = at_sentences and turns and turns[-1]["words"][-1].word.endswith((".", "?", "!"))
            if not turns or ended or word.start - turns[-1]["end"] > TURN_PAUSE_SECONDS:
                turns.append({"start": word.start, "end": word.end, "words": []})
            turns[-1]["words"].append(word)
            turns[-1]["end"] = word.end
        for turn in turns:
            turn["text"] = "".join(word.word for word in turn["words"]).strip()
        return turns, language


def count_channels(audio):
    """How many channels a recording has. Raises `Refused` for what is no recording."""
    try:
        with av.open(io.BytesIO(audio), metadata_errors="ignore") as container:
            return container.streams.audio[0].codec_context.channels
    except (av.error.FFmpegError, IndexError, ValueError):
        raise Refused(400, "The audio file could not be decoded or its format is not supported.", "file", "invalid_value")


def decode_channels(audio, separate):
    """The samples of each channel; of one, mixed from all, unless `separate`. Two equal channels are one."""
    channels = count_channels(audio)
    if separate and channels > 2:
        raise Refused(400, f"The audio file has {channels} channels: at most two can be told apart.", "file", "invalid_value")
    try:
        if not separate or channels == 1:
            return [decode_audio(io.BytesIO(audio), sampling_rate=SAMPLES_PER_SECOND)]
        left, right = decode_audio(io.BytesIO(audio), sampling_rate=SAMPLES_PER_SECOND, split_stereo=True)
    except (av.error.FFmpegError, IndexError, ValueError):
        raise Refused(400, "The audio file could not be decoded or its format is not supported.", "file", "invalid_value")
    return [left] if numpy.array_equal(left, right) else [left, right]


def clock(seconds, comma):
    """`HH:MM:SS,mmm`, the time of a subtitle."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{comma}{milliseconds:03}"


def subtitles(turns, form):
    comma = "," if form == "srt" else "."
    cues = []
    for number, turn in enumerate(turns, 1):
        name = f"{number}\n" if form == "srt" else ""
        cues.append(f"{name}{clock(turn['start'], comma)} --> {clock(turn['end'], comma)}\n{turn['text']}\n")
    return "\n".join(([] if form == "srt" else ["WEBVTT\n"]) + cues)


def diarize(recogniser, channels, names, language, temperature):
    """The turns of all channels in the order of their first words, each with its `speaker`."""
    if len(channels) == 1:
        names = ["unknown"]
    else:
        names = names[:2] + ["A", "B"][len(names[:2]):]
    turns = []
    for name, samples in zip(names, channels):
        turns += [dict(turn, speaker=name) for turn in recogniser.turns(samples, language, temperature)[0]]
    return sorted(turns, key=lambda turn: (turn["start"], turn["end"]))


def diarized_answer(turns, duration):
    segments = [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{number:03}",
            "start": round(turn["start"], 3),
            "end": round(turn["end"], 3),
            "text": turn["text"],
            "speaker": turn["speaker"],
        }
        for number, turn in enumerate(turns, 1)
    ]
    text = "\n".join(f"{segment['speaker']}: {segment['text']}" for segment in segments)
    return {"task": "transcribe", "duration": duration, "text": text, "segments": segments, "usage": usage(duration)}


def verbose_answer(turns, language, duration, granularities):
    answer = {"task": "transcribe", "language": language, "duration": duration, "text": joined(turns), "usage": usage(duration)}
    if "word" in granularities:
        words = [word for turn in turns for word in turn["words"]]
        answer["words"] = [{"word": word.word.strip(), "start": round(word.start, 3), "end": round(word.end, 3)} for word in words]
    if "segment" in granularities:
        answer["segments"] = [
            {"id": number, "start": round(turn["start"], 3), "end": round(turn["end"], 3), "text": turn["text"]}
            for number, turn in enumerate(turns)
        ]
    return answer


def joined(turns):
    return " ".join(turn["text"] for turn in turns)


def usage(duration):
    return {"type": "duration", "seconds": math.ceil(duration)}


class Job:
    """What one request asks for, checked."""

    def __init__(self, form, english_only):
        self.file = form.get("file")
        if self.file is None or isinstance(self.file, str):
            raise Refused(400, "Missing required parameter: 'file'.", "file", "missing_required_parameter")
        self.model = self.text(form, "model")
        if not self.model:
            raise Refused(400, "Missing required parameter: 'model'.", "model", "missing_required_parameter")
        self.form = self.text(form, "response_format") or "json"
        if self.form not in FORMATS:
            raise Refused(400, f"Invalid value for 'response_format': expected one of {', '.join(FORMATS)}.", "response_format", "invalid_value")
        if "diarize" in self.model and not self.text(form, "chunking_strategy"):
            raise Refused(400, "chunking_strategy is required for diarization models", "chunking_strategy")
        # "en_us" and "en-GB" are "en" to Whisper
        self.language = self.text(form, "language").lower().replace("_", "-").split("-")[0] or None
        if english_only and self.language not in (None, "en"):
            raise Refused(400, f"This recogniser knows English only, not '{self.language}'.", "language", "invalid_value")
        try:
            self.temperature = float(self.text(form, "temperature") or 0)
            if not 0 <= self.temperature <= 1:
                raise ValueError
        except ValueError:
            raise Refused(400, "Invalid value for 'temperature': expected a number between 0 and 1.", "temperature", "invalid_value")
        self.granularities = set(form.getlist("timestamp_granularities[]")) or {"segment"}
        self.names = [name for name in form.getlist("known_speaker_names[]") if isinstance(name, str)]

    @staticmethod
    def text(form, name):
        value = form.get(name, "")
        if not isinstance(value, str):
            raise Refused(400, f"Invalid value for '{name}': expected a string.", name, "invalid_value")
        return value


def recognise(recogniser, audio, request):
    """The answer to a checked request, as a response."""
    diarized = request.form == "diarized_json"
    channels = decode_channels(audio, separate=diarized)
    duration = round(len(channels[0]) / SAMPLES_PER_SECOND, 3)
    try:
        if diarized:
            turns = diarize(recogniser, channels, request.names, request.language, request.temperature)
            return JSONResponse(diarized_answer(turns, duration))
        turns, language = recogniser.turns(channels[0], request.language, request.temperature, at_sentences=True)
    except ValueError as error:  # the engine's word for a language code that it does not know
        raise Refused(400, str(error)[:200], "language", "invalid_value")
    if request.form == "text":
        return PlainTextResponse(joined(turns) + "\n")
    if request.form in ("srt", "vtt"):
        return PlainTextResponse(subtitles(turns, request.form))
    if request.form == "verbose_json":
        return JSONResponse(verbose_answer(turns, language, duration, request.granularities))
    return JSONResponse({"text": joined(turns), "usage": usage(duration)})


def limit_body(app):
    """Refuses a body of more than MAX_BYTES while it arrives, so that it never fills the disk."""

    async def limited(scope, receive, send):
        received = 0

        async def counted():
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BYTES:
                raise Refused(413, f"Maximum content size limit ({MAX_BYTES}) exceeded.")
            return message

        await app(scope, counted if scope["type"] == "http" else receive, send)

    return limited


def application(recogniser):
    english_only = not recogniser.model.model.is_multilingual

    async def transcribe(request: Request):
        given = request.headers.get("authorization", "")
        if KEY and not hmac.compare_digest(given.encode(), f"Bearer {KEY}".encode()):
            raise Refused(401, "Incorrect API key provided.", code="invalid_api_key")
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise Refused(400, "Expected a multipart/form-data body.", "file", "missing_required_parameter")
        async with request.form(max_files=1, max_fields=32) as form:
            checked = Job(form, english_only)
            audio = await checked.file.read()
        return await run_in_threadpool(recognise, recogniser, audio, checked)

    async def health(_):
        return JSONResponse({"status": "ok"})

    async def refused(_, error):
        return JSONResponse({"error": error.error}, error.status)

    async def http_error(_, error):
        kind = {"message": error.detail, "type": "invalid_request_error", "param": None, "code": None}
        return JSONResponse({"error": kind}, error.status_code, headers=error.headers)

    async def broken(_, error):
        kind = {"message": "The server had an error while processing your request.", "type": "server_error", "param": None, "code": None}
        return JSONResponse({"error": kind}, 500)

    routes = [Route("/v1/audio/transcriptions", transcribe, methods=["POST"]), Route("/healthz", health)]
    return limit_body(Starlette(routes=routes, exception_handlers={Refused: refused, HTTPException: http_error, Exception: broken}))


def end_with_stdin():
    """Ends the process when the other end of a stdin that is a pipe or socket closes: so does the parent's death."""
    kind = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
        return

    def wait():
        while os.read(0, 4096):
            pass
        os._exit(0)  # whoever asked is gone: nothing is worth finishing

    threading.Thread(target=wait, daemon=True).start()


class Server(uvicorn.Server):
    """uvicorn that says when it is ready."""

    line = ""

    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.line, flush=True)


def serve(weights, port, print_url):
    end_with_stdin()  # before the weights are read: a parent may die while they are
    for end in (signal.SIGTERM, signal.SIGINT):  # uvicorn takes over once it runs
        signal.signal(end, lambda *_: os._exit(0))
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        sys.exit(f"speech: port {port} cannot be used: {error.strerror}")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(application(Recogniser(weights)), log_level="warning", access_log=False, timeout_graceful_shutdown=10)
    server = Server(config)
    server.line = url if print_url else f"speech recogniser ready on {url}"
    server.run(sockets=[listener])
    os._exit(0)  # a decode that is still running is not waited for


def check(weights, files, as_json):
    """Prints what is heard in each file, turn by turn, with the speakers `agent` (left) and `customer` (right)."""
    recogniser = Recogniser(weights)
    for file in files:
        try:
            channels = decode_channels(Path(file).read_bytes(), separate=True)
        except (OSError, Refused) as error:
            sys.exit(f"speech: {file}: {error}")
        turns = diarize(recogniser, channels, ["agent", "customer"], None, 0.0)
        if as_json:
            heard = [{"speaker": turn["speaker"], "start": turn["start"], "end": turn["end"], "text": turn["text"]} for turn in turns]
            print(json.dumps({"file": Path(file).name, "turns": heard}, default=float))
            continue
        print(f"{Path(file).name} · {len(channels[0]) / SAMPLES_PER_SECOND:.1f} s · {len(channels)} channel(s)")
        for turn in turns:
            print(f"  {turn['start']:6.2f}–{turn['end']:6.2f}  {turn['speaker']:8}  {turn['text']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True, help="directory with Whisper's weights in CTranslate2's form")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve")
    serving.add_argument("--port", type=int, default=0)
    serving.add_argument("--print-url", action="store_true")
    checking = commands.add_parser("check")
    checking.add_argument("--json", action="store_true")
    checking.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "serve":
        serve(arguments.weights, arguments.port, arguments.print_url)
    else:
        check(arguments.weights, arguments.files, arguments.json)


if __name__ == "__main__":
    main()
