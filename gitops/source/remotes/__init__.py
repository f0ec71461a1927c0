"""What a remote is and says, told before libgit2 is: a folder of this machine, or a server that is asked once."""
