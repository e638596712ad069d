"""Run llmock in a process of its own, until stdin ends; the first line of stdout is its URL."""

import sys

from llmock.testing import LLMockServer

if __name__ == "__main__":
    with LLMockServer() as server:
        print(server.url, flush=True)
        sys.stdin.read()
