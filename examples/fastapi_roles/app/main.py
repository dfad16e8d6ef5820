"""The application."""

from fastapi import FastAPI

from app.routes import accounts, projects, tasks

app = FastAPI(title="Tracker")
app.include_router(accounts.router)
app.include_router(projects.router)
app.include_router(tasks.router)
