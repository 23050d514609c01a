/// The result of a check as one HTML page that needs nothing else: verdict, reasons, the graph, operators, parameters.
public struct CheckPage {
    private let check: ModelCheck
    private let title: String

    /// - Parameter title: the model's name.
    public init(_ check: ModelCheck, title: String) {
        self.check = check
        self.title = title
    }

    public var html: String {
        """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
        <title>\(Self.escaped(title)): private training</title>
        <style>\(Self.style)</style></head><body>
        <h1>\(Self.escaped(title))</h1>
        \(verdict)
        \(problems)
        <h2>Graph</h2>
        \(graph)
        <h2>Operators</h2>
        \(operators)
        <h2>Parameters</h2>
        \(parameters)
        </body></html>

        """
    }

    // MARK: Verdict

    private var verdict: String {
        var lines: [String] = []
        switch check.samplesAreIndependent {
        case true?: lines.append("Samples are independent.")
        case false?: lines.append("Samples are not independent.")
        case nil: lines.append("Whether samples are independent could not be found out.")
        }
        let trained = check.parameters.filter(\.isTrainable)
        let elements = trained.reduce(0) { $0 + $1.shape.reduce(1, *) }
        lines.append("\(trained.count) of \(check.parameters.count) tensors train: \(elements) elements.")
        if let memory = check.memory {
            lines.append(
                "One physical batch of B samples needs about \(Self.size(memory.fixedBytes)) + B × "
                    + "\(Self.size(memory.bytesPerSample)) besides the parameters.")
        }
        if let size = check.assumedSize { lines.append("Dimensions that nobody gave were taken as \(size).") }
        let verdict =
            check.canTrainPrivately
            ? "<p class=\"good\">This model can be trained privately.</p>"
            : "<p class=\"bad\">This model cannot be trained privately.</p>"
        return verdict + "<p>\(lines.map(Self.escaped).joined(separator: "<br>"))</p>"
    }

    private var problems: String {
        guard !check.problems.isEmpty else { return "" }
        let items = check.problems.map { problem in
            var place = ""
            if let node = problem.node {
                let text = Self.escaped("\(node) (\(problem.operatorType ?? "?"))")
                let position = check.nodes.firstIndex { $0.name == node }
                place = (position.map { "<a href=\"#n\($0)\">\(text)</a>" } ?? text) + ": "
            }
            return "<li>\(place)\(Self.escaped(problem.message))</li>"
        }
        return "<h2>What stands in the way</h2><ul>\(items.joined())</ul>"
    }

    // MARK: The graph

    private static let cell = (width: 190.0, height: 58.0)
    private static let box = (width: 170.0, height: 34.0)

    private var graph: String {
        let drawn = check.nodes.indices.filter { check.nodes[$0].role != .sizes }
        let number = Dictionary(uniqueKeysWithValues: drawn.enumerated().map { ($1, $0) })
        let inputs = drawn.map { check.nodes[$0].inputs.compactMap { number[$0] } }
        let layout = GraphLayout(inputs: inputs)
        func corner(_ node: Int) -> (x: Double, y: Double) {
            let place = layout.places[node]
            return (place.column * Self.cell.width + 10, Double(place.layer) * Self.cell.height + 10)
        }
        var edges = ""
        var boxes = ""
        for (node, position) in drawn.enumerated() {
            let (x, y) = corner(node)
            for source in inputs[node] {
                let from = corner(source)
                let (x1, y1) = (from.x + Self.box.width / 2, from.y + Self.box.height)
                let (x2, middle) = (x + Self.box.width / 2, (y1 + y) / 2)
                // What passes layers by goes around them.
                let isLong = layout.places[node].layer > layout.places[source].layer + 1
                let bow = isLong ? Self.cell.width * 0.7 : 0
                let (down, up) = isLong ? (y1 + 20, y - 20) : (middle, middle)
                edges += "<path d=\"M\(x1) \(y1)C\(x1 + bow) \(down) \(x2 + bow) \(up) \(x2) \(y)\"/>"
            }
            let row = check.nodes[position]
            let name = row.name.count > 24 ? "…" + row.name.suffix(23) : row.name
            let reads = row.parameters.isEmpty ? "" : "\nreads \(row.parameters.joined(separator: ", "))"
            boxes += """
                <g id="n\(position)" class="\(row.role.rawValue)" transform="translate(\(x) \(y))">\
                <title>\(Self.escaped("\(row.operatorType) \(row.name)\(reads)"))</title>\
                <rect width="\(Self.box.width)" height="\(Self.box.height)" rx="4"/>\
                <text x="8" y="15" class="type">\(Self.escaped(row.operatorType))</text>\
                <text x="8" y="28">\(Self.escaped(name))</text></g>

                """
        }
        let hidden = check.nodes.count - drawn.count
        let legend = [
            (ModelCheck.NodeRow.Role.parameters, "parameters meet data"), (.gradient, "gradients flow through"),
            (.forward, "forward only"), (.problem, "stands in the way"),
        ].map { "<span class=\"key \($0.0.rawValue)\"></span>\($0.1)" }.joined(separator: " ")
        let width = (layout.width + 0.5) * Self.cell.width
        let height = Double(layout.layerCount) * Self.cell.height + 10
        return """
            <p>\(legend)\(hidden > 0 ? "; \(hidden) nodes that compute only sizes and constants are not drawn" : "")</p>
            <div class="graph"><svg width="\(width)" height="\(height)" xmlns="http://www.w3.org/2000/svg">
            <g class="edges">\(edges)</g>
            \(boxes)</svg></div>
            """
    }

    // MARK: Tables

    private var operators: String {
        table(
            ["operator", "count", "forward", "backward", "per-sample rule"],
            check.operators.map {
                [
                    $0.operatorType, "\($0.count)", $0.forward.rawValue, $0.backward.rawValue, $0.perSample.rawValue,
                ]
            }, isBad: { row in row.dropFirst(2).contains("no") })
    }

    private var parameters: String {
        let unreached = Set(check.unreached)
        return table(
            ["tensor", "shape", "trains", "site", "norm rule", "multiply-adds per sample", "bytes", "because"],
            check.parameters.map { row in
                [
                    row.name, row.shape.map(String.init).joined(separator: "×"),
                    row.isTrainable ? (unreached.contains(row.name) ? "does not reach the output" : "yes") : "no",
                    row.site ?? "", row.norm ?? "", row.cost.map { "\(Int($0))" } ?? "",
                    Self.size(4 * row.shape.reduce(1, *)), row.reason,
                ]
            }, isBad: { _ in false })
    }

    private func table(_ header: [String], _ rows: [[String]], isBad: ([String]) -> Bool) -> String {
        let head = header.map { "<th>\(Self.escaped($0))</th>" }.joined()
        let body = rows.map { row in
            "<tr\(isBad(row) ? " class=\"bad\"" : "")>" + row.map { "<td>\(Self.escaped($0))</td>" }.joined() + "</tr>"
        }
        return "<table><thead><tr>\(head)</tr></thead><tbody>\(body.joined(separator: "\n"))</tbody></table>"
    }

    // MARK: Text

    /// Bytes in the largest unit that leaves a number of 1 or more.
    private static func size(_ bytes: Int) -> String {
        var (value, unit) = (Double(bytes), 0)
        while value >= 1024, unit < 3 { (value, unit) = (value / 1024, unit + 1) }
        let rounded = unit == 0 ? "\(bytes)" : "\((value * 10).rounded() / 10)"
        return rounded + [" B", " KiB", " MiB", " GiB"][unit]
    }

    /// Names in a model may hold anything.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\n": result += "\n"
            default: result.unicodeScalars.append(scalar.value < 32 || scalar.value == 127 ? " " : scalar)
            }
        }
        return result
    }

    private static let style = """
        body{font:14px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1200px;padding:0 1em;color:#1b1f24;background:#fff}
        h1{font-size:1.5em;margin-bottom:.3em}h2{font-size:1.15em;margin:1.6em 0 .4em}
        p.good,p.bad{font-weight:600;padding:.5em .8em;border-radius:6px}
        p.good{background:#dff3e4;color:#12572a}p.bad,tr.bad{background:#fbe0dd;color:#8a1c12}
        table{border-collapse:collapse;width:100%;font-size:13px}
        th,td{text-align:left;padding:.25em .7em .25em 0;border-bottom:1px solid #e3e6ea;vertical-align:top;overflow-wrap:anywhere}
        .graph{overflow:auto;max-height:75vh;border:1px solid #d5d9de;border-radius:6px}
        svg text{font:11px system-ui,sans-serif;fill:#30363d}svg .type{font-weight:600;fill:#1b1f24}
        svg rect{stroke:#9aa3ad;fill:#f3f4f6}.edges path{fill:none;stroke:#b3bac2}
        .parameters rect{fill:#cfe8d5;stroke:#3d8a55}.gradient rect{fill:#dbe7f7;stroke:#5b84bd}
        .problem rect{fill:#f6c4be;stroke:#b3261a;stroke-width:2}
        g:target rect{stroke:#000;stroke-width:3}
        .key{display:inline-block;width:.9em;height:.9em;border:1px solid #9aa3ad;background:#f3f4f6;border-radius:3px;margin:0 .3em 0 .8em;vertical-align:-1px}
        .key.parameters{background:#cfe8d5;border-color:#3d8a55}.key.gradient{background:#dbe7f7;border-color:#5b84bd}
        .key.problem{background:#f6c4be;border-color:#b3261a}
        """
}
