"""The pure steps of the road: values in, values out. No I/O, no clock, no chance."""
