"""What this field is known to get wrong, one story a file: a naive version that fails, and the same story on crdtmem.

Each naive version is what a good engineer writes in a hurry. It must fail here, or the story tells nothing.
"""
