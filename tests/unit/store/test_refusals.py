"""What is told of an object store that refuses: by the words that S3, Google's and Azure's have for it."""

from __future__ import annotations

import pytest

from ringback.store.blobs.refusals import cure_of, reason_of


def told(status: str, code: str = "", message: str = "") -> ValueError:
    body = f': <?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>' if code else ": "
    return ValueError(
        f"Generic S3 error: Error performing GET http://s3/b in 1ms - non-2xx status code: {status}{body}"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (told("404 Not Found", "NoSuchBucket", "The bucket is gone."), "(NoSuchBucket: The bucket is gone): make it"),
        (told("404 Not Found", "ContainerNotFound", "No container."), "(ContainerNotFound: No container): make it"),
        (
            told("403 Forbidden", "AccessDenied", "Access Denied"),
            "(AccessDenied: Access Denied): see to the credentials",
        ),
        (told("403 Forbidden", "SignatureDoesNotMatch", "Wrong key."), "see to the credentials"),
        (told("401 Unauthorized"), "(status 401): see to the credentials"),
        (
            told("400 Bad Request", "AuthorizationHeaderMalformed", "expecting 'eu-west-1'"),
            "see to region and endpoint",
        ),
        (told("301 Moved Permanently", "PermanentRedirect", "Use the endpoint."), "see to region and endpoint"),
    ],
)
def test_one_that_refuses_is_told_with_the_cure(error: ValueError, words: str) -> None:
    assert words in str(cure_of(error))


@pytest.mark.parametrize(
    "error",
    [
        told("503 Slow Down", "SlowDown", "Reduce your request rate."),
        told("500 Internal Server Error"),
        told("429 Too Many Requests"),
        ValueError(
            "Generic S3 error: Error performing GET http://s3/b in 1ms, after 3 retries - HTTP error: error sending"
        ),
        TimeoutError(),
    ],
)
def test_one_that_may_work_the_next_moment_is_not_refused(error: Exception) -> None:
    assert cure_of(error) is None


def test_people_are_told_the_first_line_without_the_servers_xml() -> None:
    assert reason_of(told("403 Forbidden", "AccessDenied", "no")).endswith("status code: 403 Forbidden")
    assert reason_of(TimeoutError()) == "TimeoutError"
