"""``app rotate``: a new pair is staged, proved, delivered, promoted and confirmed, in this order."""

from __future__ import annotations

from pathlib import Path

import trees
from fakes.rotation import staged

KEY, SECRET = trees.key("Robot"), trees.secret("Robot")


def test_a_rotation_from_the_first_request_to_the_last(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        before = len(scene.requests)
        ended = scene.deliver()
        assert ended.status == 0, ended
        (success,) = ended.result["successes"]
        key, secret = (call["stdin"] for call in scene.received)
        assert success["consumerKey"] == f"{key[:5]}…{key[-4:]}"
        assert success["proved"] == ["introspect", "client-credentials"]
        assert success["delivered"] == ["consumerKey: receiver", "consumerSecret: receiver"]
        assert success["previousUntil"]
        assert [(stage["stage"], stage["outcome"]) for stage in ended.result["stages"]] == [
            (name, "passed")
            for name in ("find-consumer", "stage", "prove", "deliver", "promote", "confirm", "update-saved")
        ]
        assert scene.requests[before:] == [
            "GET usage",
            "GET credentials/app",
            "GET credentials/app/consumer/staged",
            "POST credentials/app/consumer/staged",
            "POST oauth2/introspect",
            "POST oauth2/token",
            "POST oauth2/revoke",
            "PATCH credentials/app/consumer/staged/pair",
            "GET credentials/app",
            "POST oauth2/introspect",
            "GET credentials/app/consumer/staged",
            "POST oauth2/introspect",
        ]
        assert scene.accepts(key, secret)
        assert scene.accepts(KEY, SECRET)
        assert [call["argv"][1:] for call in scene.received] == [
            ["set", "ECAPIPE_CLIENT_ID_ROBOT_UAT"],
            ["set", "ECAPIPE_CLIENT_SECRET_ROBOT_UAT"],
        ]
