"""sciexam"""
