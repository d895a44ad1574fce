"""The Model Context Protocol: the use cases of semantic memory as tools, resources and prompts."""

PATH = "/mcp"
