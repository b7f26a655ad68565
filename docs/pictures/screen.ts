/**
 * What a terminal shows at the end, with its colours. While it works, the engine moves up to its table
 * and writes it again.
 */
export function finalScreen(output: string): string {
  const lines = [""];
  let row = 0;
  let isAtStart = true;
  const write = (text: string) => {
    lines[row] = (isAtStart ? "" : (lines[row] ?? "")) + text;
    isAtStart = false;
  };
  for (const [token] of output.matchAll(
    /\u001b\][^\u001b\u0007]*(\u001b\\|\u0007)?|\u001b\[[?0-9;]*[A-Za-z]|\r|\n|[^\u001b\r\n]+|\u001b/g,
  )) {
    const up = /^\u001b\[(\d*)A$/.exec(token);
    if (token === "\r") isAtStart = true;
    else if (token === "\n") {
      row += 1;
      isAtStart = true;
      lines[row] ??= "";
    } else if (up) row = Math.max(0, row - Number(up[1] || 1));
    else if (token === "\u001b[K" && isAtStart) write("");
    else if (token.endsWith("m") || !token.startsWith("\u001b")) write(token);
  }
  return lines.join("\n").trimEnd();
}

/** A text without its colours. */
export function withoutColours(text: string): string {
  return text.replace(/\u001b\[[0-9;]*m/g, "");
}

/**
 * Removes the engine's warnings about its plugins, which concern this machine and not the stack.
 */
export function withoutPlugins(screen: string): string {
  const isAboutPlugins = /using pulumi-resource-\S+ from \$PATH|resource plugin \S+ is expected/;
  const lines = screen.split("\n").filter((line) => !isAboutPlugins.test(line));
  return (
    lines
      // The stack's row ends with the number of warnings or the last one.
      .map((line) =>
        line.includes("pulumi:Stack ") ? line.replace(/\s+\S*(\d+ \S*)?warning.*$/, "") : line,
      )
      // A heading without lines.
      .filter((line, index) => !isHeading(line, lines[index + 1]))
      .join("\n")
      .replace(/(Diagnostics:.*\n)\s*\n/, "$1")
  );
}

function isHeading(line: string, next: string | undefined): boolean {
  const text = withoutColours(line);
  return /^ {2}\S.*\):$|^Diagnostics:$/.test(text) && (next === undefined || next.trim() === "");
}
