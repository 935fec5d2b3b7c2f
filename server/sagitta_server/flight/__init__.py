"""Arrow Flight SQL: models as tables, for clients that nobody here wrote.

commands    bytes <-> messages, no server in sight
tickets     signed, self-contained tickets and prepared-statement handles
catalog     what the metadata commands answer, from the models
statements  SQL text -> plan -> stream
service     the methods of the server, each a match over the commands
access      who calls, from one light middleware
"""
