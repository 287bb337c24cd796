import "../shared/tokens.css";
import "../shared/base.css";
import "./console.css";
import { mount } from "../shared/shell";
import { App } from "./app";

mount(App);
