"""PyJWT as its documentation has it, with the key made once. It runs in a venv that knows nothing of this project."""

import json
import sys
import time

import jwt


def rate(token, jwk, seconds):
    key = jwt.PyJWK(jwk).key
    began, spent, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() < began + seconds:
        for _ in range(100):
            jwt.decode(token, key, algorithms=["EdDSA"], audience="polis", issuer="polis")
        count += 100
    return count / (time.process_time() - spent)


for line in sys.stdin:
    print(json.dumps(rate(**json.loads(line))), flush=True)
