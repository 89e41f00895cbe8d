"""How bodies become bytes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from inproc_tubes.remote import (
    BytesCodec,
    JsonCodec,
    StrCodec,
    UnsafePickleCodec,
    connect,
)

if TYPE_CHECKING:
    from inproc_tubes.fakes import FakeBeanstalkd
    from inproc_tubes.remote import RemoteBroker

URL = "beanstalk://beanstalkd.test:11300"


@pytest.mark.parametrize(
    ("codec", "body", "data"),
    [
        ("json", {"sku": 7, "name": "Schäl"}, '{"sku":7,"name":"Schäl"}'.encode()),
        (JsonCodec(), [1, 2.5, None, True], b"[1,2.5,null,true]"),
        ("bytes", b"\x00\xff", b"\x00\xff"),
        (BytesCodec(), b"", b""),
        ("str", "Schäl", "Schäl".encode()),
        (StrCodec(), "", b""),
    ],
)
@pytest.mark.usefixtures("fake")
def test_a_body_comes_back_as_it_was(codec: Any, body: object, data: bytes) -> None:
    with connect(URL, codec) as broker, connect(URL, "bytes") as raw:
        job_id = broker.producer().put(body)
        assert data == raw.peek(job_id).body
        assert body == broker.consumer().reserve(0).body


@pytest.mark.usefixtures("fake")
def test_a_pickle_takes_nearly_anything() -> None:
    with connect(URL, UnsafePickleCodec()) as broker:
        broker.producer().put({1: (2, {3})})
        assert {1: (2, {3})} == broker.consumer().reserve(0).body


def test_the_name_of_pickles_is_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"^codec=\"pickle\" is unsafe: ") as caught:
        connect(URL, "pickle")
    assert __file__ == caught[0].filename


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        ("json", {1, 2}),
        ("json", float("nan")),
        ("json", "\udc80"),
        ("bytes", "text"),
        ("str", b"bytes"),
        ("str", "\udc80"),
    ],
)
def test_a_body_that_cannot_be_encoded_is_refused_before_anything_is_sent(
    fake: FakeBeanstalkd, codec: str, body: object
) -> None:
    with connect(URL, codec) as broker:
        producer = broker.producer()
        with pytest.raises(TypeError, match=r"^\w+Codec cannot encode this \w+: "):
            producer.put_many([body, body])
        assert 0 == fake.broker.stats().cmd_put


@pytest.mark.usefixtures("fake")
def test_a_codec_makes_bytes() -> None:
    class Wrong:
        def encode(self, body: Any) -> Any:
            return str(body)

        def decode(self, data: bytes) -> Any:
            raise NotImplementedError(data)

    with (
        connect(URL, Wrong()) as broker,
        pytest.raises(TypeError, match=r"^Wrong makes str of a body, and not bytes$"),
    ):
        broker.producer().put(1)


def test_there_are_four_names_and_no_other() -> None:
    with pytest.raises(
        ValueError, match=r"^codec is one of bytes, json, pickle, str, "
    ):
        connect(URL, "yaml")


def test_a_codec_has_two_methods() -> None:
    with pytest.raises(TypeError, match=r"^a codec has encode\(\), object has not$"):
        connect(URL, object())  # type: ignore[arg-type]  # that is the point


# Bodies of others


def test_what_cannot_be_decoded_is_buried_and_the_consumer_goes_on(
    fake: FakeBeanstalkd, broker: RemoteBroker, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(URL, "bytes") as others:
        others.producer().put(b"{", priority=5)
    broker.producer().put("good")
    consumer = broker.consumer()
    with caplog.at_level(logging.ERROR, "inproc_tubes.remote"):
        assert "good" == consumer.reserve(0).body
    (line,) = caplog.messages
    assert line.startswith("job 1 is buried: JsonCodec cannot decode the body: ")
    (buried,) = fake.broker.jobs("default", "buried")
    assert (1, 5) == (buried.id, buried.priority)


def test_to_ask_for_what_cannot_be_decoded_is_an_error(broker: RemoteBroker) -> None:
    with connect(URL, "bytes") as others:
        others.producer().put(b"{")
    with pytest.raises(ValueError, match=r"^JsonCodec cannot decode the body: "):
        broker.peek(1)
    with pytest.raises(ValueError, match=r"^job 1 is buried: its body cannot be "):
        broker.consumer().reserve_job(1)
    assert "buried" == broker.stats_job(1).state


def test_a_batch_goes_on_without_what_cannot_be_decoded(broker: RemoteBroker) -> None:
    with connect(URL, "bytes") as others:
        others.producer().put_many([b"1", b"{", b"2"])
    assert [1, 2] == [job.body for job in broker.consumer().reserve_many(9)]


class UnspeakableError(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError


class SilentCodec:
    """Fails by what cannot be told."""

    def encode(self, body: object, /) -> bytes:
        if body == "bad":
            raise UnspeakableError
        return str(body).encode()

    def decode(self, data: bytes, /) -> object:
        if data == b"2":
            raise UnspeakableError
        return data


def test_an_error_without_a_text_is_an_error_still(
    fake: FakeBeanstalkd, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(URL, SilentCodec(), clock=fake.broker.clock) as broker:
        producer = broker.producer()
        producer.put_many([1, 2, 3])
        with pytest.raises(TypeError, match=r"^SilentCodec cannot encode this str: "):
            producer.put("bad")
        consumer = broker.consumer()
        assert [b"1", b"3"] == [consumer.reserve(0).body for _ in "12"]
        assert 1 == broker.stats_tube("default").current_jobs_buried
    (record,) = caplog.records
    assert "SilentCodec cannot decode the body: " in record.getMessage()
