"""The tests of crdtmem; README.md says what each file proves."""
