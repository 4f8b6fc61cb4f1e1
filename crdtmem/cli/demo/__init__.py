"""`crdtmem demo`: a crew of four processes through a night of losses, cuts, crashes and contradictions, and what holds.

script.py      who writes what, drawn from a seed; pure
board.py       the JSON file of which the last writer wins
agent.py       the process of one agent; acts.py what it can be told to do; model.py the model it may ask
crew.py        the processes and cables.py the network, as the director sees them
scene.py       what a beat is; loss.py storm.py answers.py more.py the beats
play.py        the director
paper.py live.py lines.py    where it is shown: as text, on a terminal, as JSON
command.py     the command
"""
