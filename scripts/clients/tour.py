"""What clients of OpenAI's and Anthropic's APIs do with a server, with their own libraries. See the script `tour` beside it."""

import json
import sys
import urllib.request
from typing import Literal

import anthropic
import openai
from pydantic import BaseModel

URL = sys.argv[1].rstrip("/")
OPENAI = openai.OpenAI(base_url=URL + "/v1", api_key="unused", max_retries=0)
ANTHROPIC = anthropic.Anthropic(base_url=URL, api_key="unused", max_retries=0)
MODEL = OPENAI.models.list().data[0].id
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}]
NO_THINKING = {"chat_template_kwargs": {"enable_thinking": False}}
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def user(text):
    return [{"role": "user", "content": text}]


def chat(messages=None, **options):
    options.setdefault("max_tokens", 60)
    options.setdefault("temperature", 0)
    return OPENAI.chat.completions.create(model=MODEL, messages=messages or user("Say hello in Korean."), **options)


def refused(call, status, word):
    try:
        call()
    except (openai.APIStatusError, anthropic.APIStatusError) as e:
        assert e.status_code == status, e
        assert word in str(e), e
        return
    raise AssertionError("it was not refused")


@check
def chat_completion():
    answer = chat()
    assert answer.choices[0].message.content, answer
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@check
def developer_role_and_content_parts():
    parts = [{"type": "text", "text": "Say "}, {"type": "text", "text": "hello."}]
    chat([{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}])


@check
def stream_gives_the_same_text_and_usage():
    whole = chat(seed=1, temperature=0.7)
    text, usage = "", None
    for chunk in chat(seed=1, temperature=0.7, stream=True, stream_options={"include_usage": True}):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
        usage = chunk.usage or usage
    assert text == whole.choices[0].message.content
    assert usage.completion_tokens == whole.usage.completion_tokens


@check
def several_choices_stop_and_limits():
    assert len(chat(n=3, temperature=1, seed=5).choices) == 3
    assert chat(max_tokens=openai.NOT_GIVEN, max_completion_tokens=2).choices[0].finish_reason == "length"
    text = chat(extra_body=NO_THINKING).choices[0].message.content
    stopped = chat(stop=[text[1:3]], extra_body=NO_THINKING).choices[0]
    assert stopped.finish_reason == "stop" and text[1:3] not in stopped.message.content


@check
def seed_repeats():
    first, second = (chat(seed=9, temperature=1.2).choices[0].message.content for _ in range(2))
    assert first == second


@check
def logprobs_and_bias():
    choice = chat(logprobs=True, top_logprobs=3).choices[0]
    assert all(len(token.top_logprobs) == 3 for token in choice.logprobs.content)
    chat(logit_bias={"1": -100})


@check
def reasoning_can_be_turned_off_and_bounded():
    assert not getattr(chat(reasoning_effort="none").choices[0].message, "reasoning_content", None)
    answer = chat(reasoning_effort="high", extra_body={"thinking_budget": 2})
    assert answer.usage.completion_tokens_details.reasoning_tokens <= 8, answer.usage


@check
def priority_and_user():
    chat(service_tier="flex", user="tour")


@check
def second_turn_hits_the_cache():
    question = user("Tell me a very short story about a fox who lives in a far land. " * 8)
    first = chat(question)
    turn = {"role": "assistant", "content": first.choices[0].message.content}
    second = chat(question + [turn, {"role": "user", "content": "Go on."}])
    assert second.usage.prompt_tokens_details.cached_tokens > 0, second.usage


@check
def tools_auto_and_results():
    messages = user("What is the weather in Rome?")
    chat(messages, tools=TOOLS, tool_choice="auto")
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome", "days": 1}'}}
    messages += [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c1", "content": "sunny"}]
    assert chat(messages, tools=TOOLS).choices[0].finish_reason in ("stop", "length", "tool_calls")


@check
def tools_required_and_named():
    named = {"type": "function", "function": {"name": "get_weather"}}
    for choice in ("required", named):
        answer = chat(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, max_tokens=400).choices[0]
        assert answer.finish_reason == "tool_calls", answer
        arguments = json.loads(answer.message.tool_calls[0].function.arguments)
        assert 1 <= arguments["days"] <= 9 and isinstance(arguments["city"], str), arguments


@check
def streamed_tool_call():
    name, arguments = "", ""
    for chunk in chat(tools=TOOLS, tool_choice="required", parallel_tool_calls=False, max_tokens=400, stream=True):
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert name == "get_weather" and "city" in json.loads(arguments), (name, arguments)


class Person(BaseModel):
    name: str
    mood: Literal["glad", "sad"]
    age: int


@check
def structured_output():
    parsed = OPENAI.chat.completions.parse(
        model=MODEL, messages=user("Say hello."), response_format=Person, temperature=0, max_tokens=600, extra_body=NO_THINKING
    )
    assert isinstance(parsed.choices[0].message.parsed, Person), parsed
    chosen = chat(extra_body={"structured_outputs": {"choice": ["yes", "no"]}, **NO_THINKING})
    assert chosen.choices[0].message.content in ("yes", "no")
    refused(
        lambda: chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"uniqueItems": True}}}),
        400,
        "uniqueItems",
    )


@check
def completions():
    answer = OPENAI.completions.create(model=MODEL, prompt="The capital of", max_tokens=5, temperature=0, echo=True)
    assert answer.choices[0].text.startswith("The capital of")
    answer = OPENAI.completions.create(model=MODEL, prompt="The capital of", max_tokens=5, temperature=0, logprobs=2)
    assert len(answer.choices[0].logprobs.tokens) > 0


@check
def wrong_requests_say_why():
    refused(lambda: OPENAI.chat.completions.create(model="other", messages=user("Hi")), 404, "other")
    refused(lambda: chat(temperature=7), 400, "temperature")
    refused(lambda: chat(user("Hi"), extra_body={"stop": 5}), 400, "stop")


def post(path, body):
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@check
def tokens_and_back():
    tokens = post("/tokenize", {"prompt": "Hello there"})["tokens"]
    assert post("/detokenize", {"tokens": tokens})["prompt"] == "Hello there"


MESSAGE_TOOLS = [{"name": "get_weather", "input_schema": PARAMETERS}]


def message(messages=None, **options):
    options.setdefault("max_tokens", 60)
    return ANTHROPIC.messages.create(
        model=MODEL, messages=messages or user("Say hello in Korean."), extra_body={"temperature": 0}, **options
    )


@check
def messages():
    answer = message(system="Be brief.")
    assert answer.content[0].type == "text" and answer.stop_reason in ("end_turn", "max_tokens")
    counted = ANTHROPIC.messages.count_tokens(model=MODEL, system="Be brief.", messages=user("Say hello in Korean."))
    assert counted.input_tokens == answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0)


@check
def messages_with_thinking_streamed():
    with ANTHROPIC.messages.stream(
        model=MODEL,
        max_tokens=2000,
        messages=user("Say hello in Korean."),
        thinking={"type": "enabled", "budget_tokens": 1024},
        extra_body={"temperature": 0},
    ) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_message()
    assert {"message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"} <= kinds, kinds
    assert answer.content[0].type == "thinking", answer.content


@check
def messages_with_tools():
    for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather"}):
        choice = {**choice, "disable_parallel_tool_use": True}
        answer = message(tools=MESSAGE_TOOLS, tool_choice=choice, max_tokens=400)
        assert answer.stop_reason == "tool_use", answer
    use = answer.content[-1]
    assert 1 <= use.input["days"] <= 9, use
    turns = user("Say hello in Korean.") + [
        {"role": "assistant", "content": [block.model_dump() for block in answer.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}]},
    ]
    message(turns, tools=MESSAGE_TOOLS)


@check
def messages_errors():
    refused(lambda: ANTHROPIC.messages.create(model="other", max_tokens=5, messages=user("Hi")), 404, "not_found_error")
    image = [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "http://localhost/x"}}]}]
    refused(lambda: message(image), 400, "image")


def main():
    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok      {name}")
        except Exception as e:  # whatever a client library throws
            failed += 1
            print(f"FAILED  {name}: {type(e).__name__}: {e}")
    print(f"{len(CHECKS) - failed} of {len(CHECKS)} checks passed with openai {openai.__version__}, anthropic {anthropic.__version__}")
    return 1 if failed else 0


sys.exit(main())
