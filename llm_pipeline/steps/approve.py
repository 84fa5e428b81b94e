"""Approve: what the policy in force accepts is live at once, without a person."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
