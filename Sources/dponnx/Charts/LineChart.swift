/// Lines over one axis, as an SVG picture that stands for itself.
struct LineChart {
    struct Line {
        var name: String
        var points: [(x: Double, y: Double)]
        /// Faint lines stay behind the others: raw values beside their average.
        var isFaint = false
    }

    var title: String
    var xLabel: String
    var yLabel: String
    var xKind = ChartScale.Kind.linear
    var yKind = ChartScale.Kind.linear
    var yIncludesZero = false
    var lines: [Line]

    static let width = 640.0
    static let height = 400.0
    private static let area = (left: 78.0, top: 40.0, right: 620.0, bottom: 340.0)
    /// Told apart by people who see few colours (Okabe and Ito).
    private static let colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]

    /// An `svg` element; `x` and `y` place it in a larger one.
    func element(x: Double = 0, y: Double = 0) -> String {
        let area = Self.area
        let points = lines.flatMap(\.points)
        let horizontal = ChartScale(xKind, covering: points.map(\.x))
        let vertical = ChartScale(yKind, covering: points.map(\.y), includesZero: yIncludesZero)
        func across(_ value: Double) -> Double? {
            horizontal.place(value).map { area.left + $0 * (area.right - area.left) }
        }
        func down(_ value: Double) -> Double? {
            vertical.place(value).map { area.bottom - $0 * (area.bottom - area.top) }
        }
        var parts = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" x=\"\(number(x))\" y=\"\(number(y))\" width=\"\(number(Self.width))\" height=\"\(number(Self.height))\" viewBox=\"0 0 \(number(Self.width)) \(number(Self.height))\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>",
            "<text x=\"\(number(area.left))\" y=\"24\" font-size=\"15\" font-weight=\"bold\">\(escaped(title))</text>",
        ]
        for tick in horizontal.ticks {
            guard let place = across(tick.value) else { continue }
            parts.append(
                "<path d=\"M\(number(place)) \(number(area.top))V\(number(area.bottom))\" stroke=\"#ddd\"/><text x=\"\(number(place))\" y=\"\(number(area.bottom + 18))\" text-anchor=\"middle\">\(escaped(tick.label))</text>"
            )
        }
        for tick in vertical.ticks {
            guard let place = down(tick.value) else { continue }
            parts.append(
                "<path d=\"M\(number(area.left)) \(number(place))H\(number(area.right))\" stroke=\"#ddd\"/><text x=\"\(number(area.left - 8))\" y=\"\(number(place + 4))\" text-anchor=\"end\">\(escaped(tick.label))</text>"
            )
        }
        parts.append(
            "<path d=\"M\(number(area.left)) \(number(area.top))V\(number(area.bottom))H\(number(area.right))\" fill=\"none\" stroke=\"#222\"/>"
        )
        let middle = ((area.left + area.right) / 2, (area.top + area.bottom) / 2)
        parts.append(
            "<text x=\"\(number(middle.0))\" y=\"\(number(area.bottom + 40))\" text-anchor=\"middle\">\(escaped(xLabel))</text><text transform=\"translate(18 \(number(middle.1))) rotate(-90)\" text-anchor=\"middle\">\(escaped(yLabel))</text>"
        )
        for (index, line) in lines.enumerated() {
            var path = ""
            var isDown = false
            for point in line.points {
                guard let x = across(point.x), let y = down(point.y) else {
                    isDown = false
                    continue
                }
                path += "\(isDown ? "L" : "M")\(number(x)) \(number(y))"
                isDown = true
            }
            let colour = Self.colours[index % Self.colours.count]
            parts.append(
                "<path d=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"\(line.isFaint ? 1 : 2)\" stroke-opacity=\"\(line.isFaint ? 0.35 : 1)\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/>"
            )
        }
        if lines.count > 1 { parts += legend }
        return parts.joined(separator: "\n") + "\n</svg>"
    }

    private var legend: [String] {
        var x = Self.area.left
        return lines.enumerated().map { index, line in
            defer { x += 34 + 7.5 * Double(line.name.count) }
            let colour = Self.colours[index % Self.colours.count]
            return
                "<path d=\"M\(number(x)) \(number(Self.height - 8))h18\" stroke=\"\(colour)\" stroke-width=\"\(line.isFaint ? 1 : 2)\"/><text x=\"\(number(x + 23))\" y=\"\(number(Self.height - 4))\" font-size=\"12\">\(escaped(line.name))</text>"
        }
    }

    private func number(_ value: Double) -> String {
        value == value.rounded() ? "\(Int(value))" : fixed(value, 2)
    }
}

/// Text as it stands in HTML and SVG.
func escaped(_ text: String) -> String {
    var result = ""
    for character in text.unicodeScalars {
        switch character {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        default: result.unicodeScalars.append(character.value < 32 ? " " : character)
        }
    }
    return result
}
