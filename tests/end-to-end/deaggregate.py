"""Takes Kinesis records apart with aws_kinesis_agg: one in a line of JSON comes in, what is in it goes out.

Comes in: [partition key, data in hexadecimal]. Goes out, in a line for each user record:
[partition key, explicit hash key or null, data in hexadecimal, whether it was in an aggregate].
"""

import base64
import json
import sys

from aws_kinesis_agg.deaggregator import iter_deaggregate_records


def kinesis_record(line):
    partition_key, data = json.loads(line)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "sequenceNumber": "0",
            "approximateArrivalTimestamp": 0,
            "partitionKey": partition_key,
            "data": base64.b64encode(bytes.fromhex(data)),
        }
    }


for user_record in iter_deaggregate_records(map(kinesis_record, sys.stdin)):
    inner = user_record["kinesis"]
    data = base64.b64decode(inner["data"]).hex()
    print(json.dumps([inner["partitionKey"], inner.get("explicitHashKey"), data, inner.get("aggregated", False)]))
