"""Stands in for the google provider where it can't be had: it knows which arguments there are, and nothing about Google.

It serves google.json, the schema of those resources that this configuration uses, as it was read off the provider 7.46, over version 5
of the plugin protocol (https://developer.hashicorp.com/terraform/plugin/terraform-plugin-protocol). So Terraform checks names and
types of all arguments, plans, and runs its tests with mocks. What the provider itself refuses, such as a word that an argument does not
take, is not seen. "Applying" keeps what was planned, makes up what only Google knows, and
destroys nothing whose deletion_policy is PREVENT.

    with serving() as environment:
        subprocess.run(["terraform", "validate"], env={**os.environ, **environment})
"""

import contextlib
import json
import os
import pathlib
import re
import tempfile
from concurrent import futures

import grpc
import msgpack

SCHEMA = json.loads((pathlib.Path(__file__).parent / "google.json").read_text())
PROVIDER = {name: "string optional" for name in ["project", "region", "billing_project", "access_token"]} | {
    "user_project_override": "bool optional"
}
UNKNOWN = msgpack.ExtType(0, b"\0")
NESTING = {"list": 2, "set": 3}


# --- messages: a field's number and its value, https://protobuf.dev/programming-guides/encoding --------------------------


def varint(number):
    head = b""
    while number > 127:
        head, number = head + bytes([number & 127 | 128]), number >> 7
    return head + bytes([number])


def message(*fields):
    text = b""
    for number, value in fields:
        if isinstance(value, (bool, int)):
            text += varint(number << 3) + varint(int(value))
        else:
            value = value.encode() if isinstance(value, str) else value
            text += varint(number << 3 | 2) + varint(len(value)) + value
    return text


def fields_of(text):
    found, at = {}, 0

    def read():
        nonlocal at
        number, shift = 0, 0
        while True:
            byte = text[at]
            at += 1
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7

    while at < len(text):
        key = read()
        if key & 7 == 0:
            found[key >> 3] = read()
        else:
            length = read()
            found[key >> 3] = text[at : at + length]
            at += length
    return found


def value_of(dynamic):
    if not dynamic:
        return None
    return msgpack.unpackb(fields_of(dynamic)[1], ext_hook=lambda *_: UNKNOWN, strict_map_key=False)


def dynamic(value):
    return message((1, msgpack.packb(value)))


# --- schema -----------------------------------------------------------------------------------------------------------------


def cty(text):
    """The type of an attribute, as JSON knows it: map(string) is ["map", "string"]."""
    wrapped = re.fullmatch(r"(list|set|map)\((.*)\)", text)
    if wrapped:
        return [wrapped[1], cty(wrapped[2])]
    return "string" if text.startswith("object") else text


def block(entries):
    parts = []
    for name, entry in entries.items():
        if isinstance(entry, dict):
            nesting, _, least, _, most = entry["_"].split()
            limits = [(4, int(least))] + ([] if most == "any" else [(5, int(most))])
            nested = message((1, name.removesuffix(" {}")), (2, block(entry)), (3, NESTING[nesting]), *limits)
            parts.append((3, nested))
        elif name != "_":
            kind, mode = entry.split(" ")
            flags = {"required": [(4, True)], "optional": [(5, True)], "computed": [(6, True)]}[mode]
            if name == "id":
                flags = [(5, True), (6, True)]
            parts.append((2, message((1, name), (2, json.dumps(cty(kind))), *flags)))
    return message(*parts)


def with_unknowns(entries, value):
    """What only Google knows is not known yet."""
    for name, entry in entries.items():
        if isinstance(entry, dict):
            for nested in value.get(name.removesuffix(" {}")) or []:
                with_unknowns(entry, nested)
        elif name != "_" and (entry.endswith(" computed") or name == "id") and value.get(name) is None:
            value[name] = UNKNOWN
    return value


def made_up(entries, value, kind):
    for name, entry in entries.items():
        if isinstance(entry, dict):
            for nested in value.get(name.removesuffix(" {}")) or []:
                made_up(entry, nested, kind)
        elif name != "_" and value.get(name) == UNKNOWN:
            known = value.get("name") or value.get("account_id") or value.get("dataset_id") or kind
            one = {"string": f"{known}-{name}", "number": 1, "bool": False}.get(entry.split(" ")[0])
            value[name] = f"{value.get('account_id')}@example.iam.gserviceaccount.com" if name == "email" else one
    return value


# --- calls ------------------------------------------------------------------------------------------------------------------


def schema(_):
    resources = [message((1, name), (2, message((2, block(entries))))) for name, entries in SCHEMA.items()]
    return message((1, message((2, block(PROVIDER)))), *[(2, resource) for resource in resources])


def plan(request):
    kind, proposed, prior = request[1].decode(), value_of(request[3]), value_of(request.get(2))
    if proposed is not None and prior is None:
        with_unknowns(SCHEMA[kind], proposed)
    return message((1, dynamic(proposed)))


def apply(request):
    planned, prior = value_of(request[3]), value_of(request.get(2))
    if planned is None and prior.get("deletion_policy") == "PREVENT":
        refusal = message((1, 1), (2, f"{request[1].decode()} is protected: deletion_policy is PREVENT"))
        return message((1, dynamic(prior)), (3, refusal))
    if planned is not None:
        made_up(SCHEMA[request[1].decode()], planned, request[1].decode())
    return message((1, dynamic(planned)))


def upgrade(request):
    return message((1, message((2, fields_of(request[3])[1]))))


CALLS = {
    "GetSchema": schema,
    "PrepareProviderConfig": lambda request: message((1, request[1])),
    "ValidateResourceTypeConfig": lambda _: b"",
    "UpgradeResourceState": upgrade,
    "Configure": lambda _: b"",
    "ReadResource": lambda request: message((1, request[2])),
    "PlanResourceChange": plan,
    "ApplyResourceChange": apply,
    "Stop": lambda _: b"",
}


@contextlib.contextmanager
def serving():
    """Serves until it is left; gives the variables by which Terraform finds it."""
    with tempfile.TemporaryDirectory() as folder:
        address = os.path.join(folder, "socket")
        server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
        calls = {
            name: grpc.unary_unary_rpc_method_handler(lambda request, _, call=call: call(fields_of(request)))
            for name, call in CALLS.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin5.Provider", calls),))
        server.add_insecure_port("unix://" + address)
        server.start()
        reattach = {
            "Protocol": "grpc",
            "ProtocolVersion": 5,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "unix", "String": address},
        }
        try:
            yield {"TF_REATTACH_PROVIDERS": json.dumps({"registry.terraform.io/hashicorp/google": reattach})}
        finally:
            server.stop(None)
