"""Says of requests whether AWS's own library (botocore) signs them the same way. Reads one request as JSON per line and
answers each with a line: `{"key": the access key's id}`, or `{"error": AWS's name for what is wrong}`."""

import base64
import datetime
import json
import re
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/([\w-]+)/([\w-]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
FORMAT = "%Y%m%dT%H%M%SZ"


def fault(told):
    """What is wrong with the request, and whose it is."""
    headers = {name.lower(): value for name, value in told["headers"]}
    if len(headers) != len(told["headers"]):
        return "IncompleteSignatureException", None
    if "authorization" not in headers:
        return "MissingAuthenticationTokenException", None
    parts = AUTHORIZATION.fullmatch(headers["authorization"])
    if parts is None:
        return "IncompleteSignatureException", None
    key_id, day, region, service, signed, signature = parts.groups()
    key = told["keys"].get(key_id)
    if key is None:
        return "UnrecognizedClientException", None
    if key.get("token") != headers.get("x-amz-security-token"):
        return "UnrecognizedClientException", key_id
    if key.get("ended"):
        return "ExpiredTokenException", key_id
    time = headers.get("x-amz-date", "")
    now = datetime.datetime.now(datetime.timezone.utc)
    then = datetime.datetime.strptime(time, FORMAT).replace(tzinfo=datetime.timezone.utc)
    if abs(now - then) > datetime.timedelta(minutes=5) or not time.startswith(day):
        return "RequestExpired", key_id
    signed = signed.split(";")
    due = [name for name in headers if name in ("host", "content-type") or name.startswith("x-amz-")]
    if signed != sorted(signed) or not set(due) <= set(signed):
        return "IncompleteSignatureException", key_id
    if (region, service) != (told["region"], told["service"]):
        return "InvalidSignatureException", key_id
    auth = SigV4Auth(Credentials(key_id, key["secret"], key.get("token")), service, region)
    request = AWSRequest(
        method=told["method"],
        url=told["url"],
        headers={name: headers[name] for name in signed},
        data=base64.b64decode(told["body"]),
    )
    request.context["timestamp"] = time
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return (None if expected == signature else "InvalidSignatureException"), key_id


for line in sys.stdin:
    error, key_id = fault(json.loads(line))
    print(json.dumps({"error": error, "key": key_id}), flush=True)
