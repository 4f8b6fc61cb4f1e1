"""The memory as agent programs speak: tools, servers and stores. One file for each; nothing inside imports them."""
