"""What crdtmem costs, beside the raw thing it is built on: `python -m benchmarks NAME [--quick] [--json FILE]`."""
