"""The keys of a fleet repo: who is listed, who of them are one person, and whose signature would count today."""
