"""Every judgement of policy on the road, from the compiled lane to the last instant."""
