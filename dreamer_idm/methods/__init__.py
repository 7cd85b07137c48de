"""The relatives of IDM, a module or package each; see `agent.registry`."""
