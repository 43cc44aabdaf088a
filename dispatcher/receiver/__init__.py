"""What a partner who uses Python installs: is this from the sender we know, and what does it say?

    from dispatcher.receiver.opening import NotGenuine, Receiver

Needs the base package; to open what is encrypted, the extra `receiver` too. It opens no connection.
"""
